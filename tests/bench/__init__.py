"""The benchmark: see run.sh and run.py."""
