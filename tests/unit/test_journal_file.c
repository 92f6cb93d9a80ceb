/* The journal's file: every truncation, every flipped bit, replacement, lock, instance id. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/journal/journal_file.h"

#define RECORDS 4u

static const char *const texts[RECORDS] = {"plan", "the second record", "3", "last, and not the shortest"};

struct seen {
    uint32_t count;
    char texts[RECORDS + 1][64];
};

static enum rc see(void *context, uint32_t number, struct zkp_slice payload, struct err *err)
{
    (void)err;
    struct seen *seen = context;
    assert_int_equal(number, seen->count + 1);
    assert_in_range(payload.len, 1, 63);
    assert_in_range(seen->count, 0, RECORDS);
    snprintf(seen->texts[seen->count++], 64, "%.*s", (int)payload.len, (const char *)payload.ptr);
    return RC_OK;
}

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/zkferry-journal-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int drop_dir(void **state)
{
    (void)state;
    static const char *const names[] = {"journal", "journal.new", "lock", "instance", "instance.new"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static void journal_path(char path[128])
{
    snprintf(path, 128, "%s/journal", dir);
}

static void put_file(const uint8_t *bytes, size_t length)
{
    char path[128];
    journal_path(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
}

static size_t get_file(uint8_t *bytes, size_t capacity)
{
    char path[128];
    journal_path(path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t length = fread(bytes, 1, capacity, f);
    fclose(f);
    return length;
}

static void open_ok(struct mig_journal_file *file, struct seen *seen)
{
    struct err err = {.code = RC_OK};
    memset(seen, 0, sizeof *seen);
    if (mig_journal_file_open(file, dir, see, seen, &err) != RC_OK)
        fail_msg("%s", err.text);
}

static void append_ok(struct mig_journal_file *file, const char *text)
{
    struct err err = {.code = RC_OK};
    if (mig_journal_file_append(file, zkp_slice_str(text), &err) != RC_OK)
        fail_msg("%s", err.text);
}

/* Writes all texts; ends[i] = the file's length after record i. Returns the length. */
static size_t write_all_texts(uint8_t *bytes, size_t capacity, size_t ends[RECORDS])
{
    struct mig_journal_file file;
    struct seen seen;
    open_ok(&file, &seen);
    assert_int_equal(seen.count, 0);
    for (uint32_t i = 0; i < RECORDS; i++) {
        append_ok(&file, texts[i]);
        ends[i] = (size_t)file.good;
    }
    mig_journal_file_close(&file);
    return get_file(bytes, capacity);
}

static void crc_is_castagnoli(void **state)
{
    (void)state;
    static const uint8_t zeros[32]; /* RFC 3720 B.4 */
    assert_int_equal(mig_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(mig_crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
    assert_int_equal(mig_crc32c(mig_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void what_was_appended_is_replayed(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[RECORDS];
    write_all_texts(bytes, sizeof bytes, ends);
    struct mig_journal_file file;
    struct seen seen;
    open_ok(&file, &seen);
    assert_int_equal(seen.count, RECORDS);
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_string_equal(seen.texts[i], texts[i]);
    append_ok(&file, "one more");
    mig_journal_file_close(&file);
    open_ok(&file, &seen);
    assert_int_equal(seen.count, RECORDS + 1);
    assert_string_equal(seen.texts[RECORDS], "one more");
    mig_journal_file_close(&file);
}

/* A crash leaves a prefix: whole records stay, a piece is cut, and the journal goes on from there. Only the
 * first record cannot be a piece: the file gets its name when that record is on disk. */
static void every_prefix_is_opened(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[RECORDS];
    size_t length = write_all_texts(bytes, sizeof bytes, ends);
    for (size_t cut = 0; cut <= length; cut++) {
        uint32_t whole = 0;
        while (whole < RECORDS && ends[whole] <= cut)
            whole++;
        put_file(bytes, cut);
        struct mig_journal_file file;
        struct seen seen = {.count = 0};
        struct err err = {.code = RC_OK};
        enum rc rc = mig_journal_file_open(&file, dir, see, &seen, &err);
        if (whole == 0) {
            assert_int_equal(rc, RC_CORRUPT);
            continue;
        }
        assert_int_equal(rc, RC_OK);
        assert_int_equal(seen.count, whole);
        assert_int_equal(file.good, ends[whole - 1]);
        append_ok(&file, "after");
        mig_journal_file_close(&file);
        open_ok(&file, &seen);
        assert_int_equal(seen.count, whole + 1);
        assert_string_equal(seen.texts[whole], "after");
        mig_journal_file_close(&file);
    }
}

/* Damage anywhere but in the last record stops us and is located; in the last one it can't be told from a
 * torn write. No damage is ever taken for a record. */
static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[RECORDS];
    size_t length = write_all_texts(bytes, sizeof bytes, ends);
    for (size_t bit = 0; bit < length * 8; bit++) {
        uint32_t hit = 0;
        while (ends[hit] <= bit / 8)
            hit++;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct seen seen = {.count = 0};
        struct err err = {.code = RC_OK};
        size_t good = 0;
        enum rc rc = mig_journal_scan(zkp_slice_of(bytes, (uint32_t)length), see, &seen, &good, &err);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(seen.count, hit);
        if (hit == RECORDS - 1) {
            assert_int_equal(rc, RC_OK);
            assert_int_equal(good, ends[RECORDS - 2]);
            continue;
        }
        char expected[64];
        snprintf(expected, sizeof expected, "record %u at offset %zu", hit + 1, hit > 0 ? ends[hit - 1] : 0);
        assert_int_equal(rc, RC_CORRUPT);
        assert_non_null(strstr(err.text, expected));
    }
}

static void zeros_at_the_end_are_cut(void **state)
{
    (void)state;
    uint8_t bytes[512] = {0};
    size_t ends[RECORDS];
    size_t length = write_all_texts(bytes, sizeof bytes, ends);
    put_file(bytes, length + 40); /* what a file system shows of a write whose data never came */
    struct mig_journal_file file;
    struct seen seen;
    open_ok(&file, &seen);
    assert_int_equal(seen.count, RECORDS);
    mig_journal_file_close(&file);
    assert_int_equal(get_file(bytes, sizeof bytes), length);
}

static void more_rubbish_than_one_record_is_damage(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[RECORDS];
    size_t length = write_all_texts(bytes, sizeof bytes, ends);
    size_t big = length + MIG_JOURNAL_HEADER + MIG_JOURNAL_PAYLOAD_MAX + 1;
    uint8_t *file = calloc(1, big);
    assert_non_null(file);
    memcpy(file, bytes, length);
    struct seen seen = {.count = 0};
    struct err err = {.code = RC_OK};
    size_t good = 0;
    assert_int_equal(mig_journal_scan(zkp_slice_of(file, (uint32_t)big), see, &seen, &good, &err),
                     RC_CORRUPT);
    seen.count = 0;
    assert_int_equal(mig_journal_scan(zkp_slice_of(file, (uint32_t)big - 1), see, &seen, &good, &err), RC_OK);
    assert_int_equal(good, length);
    free(file);
}

static void begin_replaces_everything(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[RECORDS];
    write_all_texts(bytes, sizeof bytes, ends);
    struct mig_journal_file file;
    struct seen seen;
    struct err err = {.code = RC_OK};
    open_ok(&file, &seen);
    assert_int_equal(mig_journal_file_begin(&file, zkp_slice_str("new plan"), &err), RC_OK);
    append_ok(&file, "its step");
    mig_journal_file_close(&file);
    open_ok(&file, &seen);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.texts[0], "new plan");
    assert_string_equal(seen.texts[1], "its step");
    mig_journal_file_close(&file);
}

static void a_failed_begin_keeps_the_old_plan(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t ends[RECORDS];
    write_all_texts(bytes, sizeof bytes, ends);
    struct mig_journal_file file;
    struct seen seen;
    struct err err = {.code = RC_OK};
    open_ok(&file, &seen);
    char in_the_way[128];
    snprintf(in_the_way, sizeof in_the_way, "%s/journal.new", dir);
    assert_int_equal(mkdir(in_the_way, 0700), 0); /* also stops root, unlike permissions */
    assert_int_equal(mig_journal_file_begin(&file, zkp_slice_str("new plan"), &err), RC_IO);
    assert_non_null(strstr(err.text, "journal.new"));
    assert_int_equal(rmdir(in_the_way), 0);
    append_ok(&file, "still the old one");
    mig_journal_file_close(&file);
    open_ok(&file, &seen);
    assert_int_equal(seen.count, RECORDS + 1);
    mig_journal_file_close(&file);
}

static void two_daemons_cannot_share_a_directory(void **state)
{
    (void)state;
    struct mig_journal_file first;
    struct mig_journal_file second;
    struct seen seen;
    struct err err = {.code = RC_OK};
    open_ok(&first, &seen);
    assert_int_equal(mig_journal_file_open(&second, dir, see, &seen, &err), RC_EXISTS);
    assert_non_null(strstr(err.text, "another zkferryd"));
    mig_journal_file_close(&first);
    open_ok(&second, &seen);
    mig_journal_file_close(&second);
}

static void sizes_are_limited(void **state)
{
    (void)state;
    struct mig_journal_file file;
    struct seen seen;
    struct err err = {.code = RC_OK};
    open_ok(&file, &seen);
    assert_int_equal(mig_journal_file_append(&file, zkp_slice_of("", 0), &err), RC_TOO_BIG);
    assert_int_equal(mig_journal_file_append(&file, zkp_slice_of("", MIG_JOURNAL_PAYLOAD_MAX + 1), &err),
                     RC_TOO_BIG);
    mig_journal_file_close(&file);
}

static void the_instance_stays_the_same(void **state)
{
    (void)state;
    struct mig_journal_file file;
    struct seen seen;
    struct err err = {.code = RC_OK};
    char first[MIG_INSTANCE_MAX];
    char second[MIG_INSTANCE_MAX];
    open_ok(&file, &seen);
    assert_int_equal(mig_journal_file_instance(&file, first, &err), RC_OK);
    assert_int_equal(strlen(first), MIG_INSTANCE_MAX - 1);
    mig_journal_file_close(&file);
    open_ok(&file, &seen);
    assert_int_equal(mig_journal_file_instance(&file, second, &err), RC_OK);
    assert_string_equal(first, second);
    mig_journal_file_close(&file);
}

/* A record that a restart would not find was not written, whatever the file system says. */
static void a_journal_that_is_gone_is_noticed(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        struct mig_journal_file file;
        struct seen seen = {0};
        struct err err = {.text = ""};
        char path[128], away[160];
        journal_path(path);
        assert_int_equal(mig_journal_file_open(&file, dir, see, &seen, &err), RC_OK);
        assert_int_equal(mig_journal_file_begin(&file, zkp_slice_str("one"), &err), RC_OK);
        assert_int_equal(mig_journal_file_append(&file, zkp_slice_str("two"), &err), RC_OK);
        snprintf(away, sizeof away, "%s.away", what == 2 ? dir : path);
        if (what == 0) { /* removed */
            assert_int_equal(unlink(path), 0);
        } else if (what == 1) { /* a copy of it in its place */
            assert_int_equal(rename(path, away), 0);
            int copy = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            assert_true(copy >= 0 && close(copy) == 0);
        } else { /* the whole directory */
            assert_int_equal(rename(dir, away), 0);
        }
        assert_int_equal(mig_journal_file_append(&file, zkp_slice_str("three"), &err), RC_IO);
        assert_non_null(strstr(err.text, "removed or replaced"));
        if (what == 2)
            assert_int_equal(rename(away, dir), 0);
        else if (what == 1)
            assert_int_equal(unlink(away), 0);
        /* For good: nobody knows what has happened meanwhile. */
        assert_int_equal(mig_journal_file_begin(&file, zkp_slice_str("four"), &err), RC_IO);
        mig_journal_file_close(&file);
        (void)unlink(path);
    }
}

static void a_directory_of_others_is_refused(void **state)
{
    (void)state;
    struct mig_journal_file file;
    struct seen seen = {0};
    struct err err = {.text = ""};
    assert_int_equal(chmod(dir, 0770), 0);
    assert_int_equal(mig_journal_file_open(&file, dir, see, &seen, &err), RC_REFUSED);
    assert_non_null(strstr(err.text, "0770"));
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(mig_journal_file_open(&file, dir, see, &seen, &err), RC_OK);
    mig_journal_file_close(&file);
    if (geteuid() != 0)
        return; /* only root can give it away */
    assert_int_equal(chown(dir, 12345, (gid_t)-1), 0);
    assert_int_equal(mig_journal_file_open(&file, dir, see, &seen, &err), RC_REFUSED);
    assert_non_null(strstr(err.text, "12345"));
    assert_int_equal(chown(dir, 0, (gid_t)-1), 0);
}

static void a_journal_that_is_no_file_hangs_nobody(void **state)
{
    (void)state;
    struct mig_journal_file file;
    struct seen seen = {0};
    struct err err = {.text = ""};
    char path[128];
    journal_path(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(mig_journal_file_open(&file, dir, see, &seen, &err), RC_CORRUPT);
    assert_non_null(strstr(err.text, "not a regular file"));
}

/* The daemon goes on without a plan: the directory is its own, the journal is left as it is. */
static void a_barred_journal_is_left_alone(void **state)
{
    (void)state;
    struct mig_journal_file file, other;
    struct seen seen = {0};
    struct err err = {.text = ""};
    char path[128];
    struct stat status;
    journal_path(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, "rubbish", 7) == 7 && close(fd) == 0);
    assert_int_equal(mig_journal_file_open(&file, dir, see, &seen, &err), RC_CORRUPT);
    assert_int_equal(mig_journal_file_open(&file, dir, NULL, NULL, &err), RC_OK);
    mig_journal_file_bar(&file, "it is damaged");
    assert_int_equal(mig_journal_file_open(&other, dir, NULL, NULL, &err), RC_EXISTS);
    assert_int_equal(mig_journal_file_begin(&file, zkp_slice_str("one"), &err), RC_IO);
    assert_string_equal(err.text, "it is damaged");
    assert_int_equal(mig_journal_file_append(&file, zkp_slice_str("one"), &err), RC_IO);
    assert_true(stat(path, &status) == 0 && status.st_size == 7);
    mig_journal_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_castagnoli),
        cmocka_unit_test_setup_teardown(what_was_appended_is_replayed, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(every_prefix_is_opened, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_noticed, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(zeros_at_the_end_are_cut, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_journal_that_is_gone_is_noticed, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_directory_of_others_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_journal_that_is_no_file_hangs_nobody, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_barred_journal_is_left_alone, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(more_rubbish_than_one_record_is_damage, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(begin_replaces_everything, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_failed_begin_keeps_the_old_plan, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(two_daemons_cannot_share_a_directory, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(sizes_are_limited, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(the_instance_stays_the_same, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
