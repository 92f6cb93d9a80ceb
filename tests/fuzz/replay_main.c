/* Runs a fuzz target over the files and directories on the command line, without libFuzzer: the corpora
 * become ordinary tests, with any compiler and sanitizer. No input at all is a failure, or a wrong path would
 * pass. */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (16u << 20)

/* Returns the number of inputs run, -1 on trouble. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    int result = -1;
    if (!file || !data) {
        perror(path);
        goto out;
    }
    size_t size = fread(data, 1, INPUT_MAX, file);
    if (ferror(file)) {
        perror(path);
        goto out;
    }
    /* An exact copy, so that a read behind the end is seen by the sanitizer. */
    uint8_t *exact = realloc(data, size > 0 ? size : 1);
    data = exact ? exact : data;
    LLVMFuzzerTestOneInput(data, size);
    result = 1;
out:
    free(data);
    if (file)
        fclose(file);
    return result;
}

static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) {
        perror(path);
        return -1;
    }
    int runs = 0;
    struct dirent *entry;
    while (runs >= 0 && (entry = readdir(directory))) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        int length = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof name || replay_file(name) < 0)
            runs = -1;
        else
            runs++;
    }
    closedir(directory);
    return runs;
}

static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        perror(path);
        return -1;
    }
    return S_ISDIR(info.st_mode) ? replay_directory(path) : replay_file(path);
}

int main(int argc, char **argv)
{
    int runs = 0;
    for (int i = 1; i < argc; i++) {
        int result = replay(argv[i]);
        if (result < 0)
            return EXIT_FAILURE;
        runs += result;
    }
    printf("%d inputs replayed\n", runs);
    return runs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
