/* Between the two passes over a file (parse_scan.c, parse.c): the only files that see libyaml. */
#ifndef CONF_PARSE_INT_H
#define CONF_PARSE_INT_H

#include <yaml.h>

#include "conf/conf_int.h"

/* People count lines from 1. */
int conf_yaml_line(yaml_mark_t mark);

/* A problem for what the parser stopped at; no memory is noted as such. */
void conf_yaml_report(struct conf_reader *r, const yaml_parser_t *parser, struct zkp_slice text);

/* The first pass: a problem for everything that the second one is not meant to see. */
void conf_yaml_scan(struct conf_reader *r, struct zkp_slice text);

#endif
