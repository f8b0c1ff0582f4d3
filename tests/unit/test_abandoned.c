/* Which multipart uploads nobody goes on with, over a folder as the bucket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "cache/abandoned.h"
#include "cache/index/pending.h"
#include "tests/support/rig.h"

static char spec[128];

static int setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));
	char folder[96];

	rig_init(r);
	snprintf(folder, sizeof(folder), "%s/far", r->folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(spec, sizeof(spec), "file://%s", folder);
	r->config.bucket = (struct bucket_config){.spec = spec, .io_timeout_ms = 1000, .connections_max = 2};
	rig_start(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	rig_destroy(r);
	free(r);
	return 0;
}

static void begin(struct rig *r, const char *key, char id[UPLOAD_ID_BYTES])
{
	assert_int_equal(bucket_upload_create(r->cache.flow.bucket, key, NULL, NULL, id), 0);
}

static void note_record(struct rig *r, const char *key, const char *id)
{
	static uint64_t blob;
	struct upload_record record = {.blob = ++blob};
	struct txn *txn;

	strcpy(record.key, key);
	strcpy(record.id, id);
	assert_int_equal(txn_begin_write(r->cache.flow.index, &txn), 0);
	assert_int_equal(uploads_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

struct found {
	struct rig *rig;
	unsigned counts[26]; /* by the first letter of the key */
	unsigned all;
	bool abort;
};

static int note(void *arg, const struct abandoned *upload)
{
	struct found *f = arg;

	f->counts[upload->key[0] - 'a']++;
	f->all++;
	return f->abort ? abandoned_abort(&f->rig->cache, upload) : 0;
}

static void ours_are_left_alone(void **state)
{
	struct rig *r = *state;
	char id[UPLOAD_ID_BYTES], other[UPLOAD_ID_BYTES], kept[UPLOAD_ID_BYTES];
	struct pending_record pending = {.want = PENDING_ABSENT};
	struct found f = {.rig = r};
	struct txn *txn;

	begin(r, "a", id); /* ours, and one of somebody else's on the same key */
	note_record(r, "a", id);
	begin(r, "a", other);
	begin(r, "b", kept); /* being made: the id is not known yet */
	note_record(r, "b", "");
	begin(r, "c", kept); /* the key is about to change by us */
	strcpy(pending.key, "c");
	assert_int_equal(txn_begin_write(r->cache.flow.index, &txn), 0);
	assert_int_equal(pending_put(txn, &pending), 0);
	assert_int_equal(txn_commit(&txn), 0);
	begin(r, "d/e", kept);

	assert_int_equal(abandoned_each(&r->cache, ABANDONED_AGE_S, note, &f), 0);
	assert_int_equal(f.all, 0); /* all are young */
	assert_int_equal(abandoned_each(&r->cache, 0, note, &f), 0);
	assert_int_equal(f.all, 2);
	assert_true(f.counts[0] == 1 && f.counts[3] == 1);
	f = (struct found){.rig = r, .abort = true};
	assert_int_equal(abandoned_each(&r->cache, 0, note, &f), 0);
	assert_int_equal(f.all, 2);
	f = (struct found){.rig = r};
	assert_int_equal(abandoned_each(&r->cache, 0, note, &f), 0);
	assert_int_equal(f.all, 0);
	assert_int_equal(abandoned_abort(&r->cache, &(struct abandoned){"a", id, 0}), -EBUSY);
	assert_int_equal(abandoned_abort(&r->cache, &(struct abandoned){"a", other, 0}), 0);
}

static void it_goes_by_age(void **state)
{
	struct rig *r = *state;
	char id[UPLOAD_ID_BYTES], path[256];
	struct found f = {.rig = r};
	struct timespec day_ago[2];

	begin(r, "a", id);
	begin(r, "b", id);
	snprintf(path, sizeof(path), "%s/.tootfs-tmp/upload-%s/key", spec + 7, id);
	clock_gettime(CLOCK_REALTIME, &day_ago[0]);
	day_ago[0].tv_sec -= ABANDONED_AGE_S + 60;
	day_ago[1] = day_ago[0];
	assert_int_equal(utimensat(AT_FDCWD, path, day_ago, 0), 0);
	assert_int_equal(abandoned_each(&r->cache, ABANDONED_AGE_S, note, &f), 0);
	assert_true(f.all == 1 && f.counts[1] == 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(ours_are_left_alone), TEST(it_goes_by_age)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
