/* Pending wishes and uploads: one record a key, the order of keys, keys that are longer than LMDB
 * takes.
 *
 * The order that is promised: byte order among keys of up to 511 bytes; a longer key stands where
 * its first 495 bytes put it, and among keys that share those, anywhere, but always at the same
 * place. A walk meets each key once. */
#include "index_fixture.h"
#include "cache/index/internal.h"

enum { SHORT_MAX = RECORD_KEY_BYTES_MAX, PREFIX = RECORD_KEY_BYTES_MAX - DIGEST_BYTES };

static struct pending_record a_put(const char *key, uint64_t ino, uint64_t version)
{
	struct pending_record r = {
	    .want = PENDING_PUT, .ino = ino, .version = version, .since_ns = 5};
	snprintf(r.key, sizeof(r.key), "%s", key);
	return r;
}

static uint64_t count_of(struct txn *txn)
{
	uint64_t count;
	assert_int_equal(pending_count(txn, &count), 0);
	return count;
}

static void collapse(void **state)
{
	struct fixture *f = *state;
	struct pending_record r = a_put("a/b", 7, 1), back;
	struct txn *txn = must_write(f->index);
	assert_int_equal(pending_get(txn, "a/b", &back), -ENOENT);
	assert_int_equal(pending_delete(txn, "a/b"), -ENOENT);
	r.fresh = true;
	assert_int_equal(pending_put(txn, &r), 0);
	assert_int_equal(r.txn, txn_id(txn));
	assert_int_equal(txn_commit(&txn), 0);

	txn = must_write(f->index);
	assert_int_equal(pending_get(txn, "a/b", &back), 0);
	assert_int_equal(back.want, PENDING_PUT);
	assert_true(back.fresh);
	assert_true(back.txn <= txn_id(txn)); /* they may share a batch */
	struct pending_record absent = {.key = "a/b", .want = PENDING_ABSENT, .holds = 9};
	assert_int_equal(pending_put(txn, &absent), 0);
	assert_int_equal(count_of(txn), 1);
	r.version = 2;
	r.attempts = 3;
	r.retry_ns = 99;
	assert_int_equal(pending_put(txn, &r), 0);
	assert_int_equal(count_of(txn), 1);
	assert_int_equal(pending_get(txn, "a/b", &back), 0);
	assert_int_equal(back.version, 2);
	assert_int_equal(back.attempts, 3);
	assert_int_equal(back.retry_ns, 99);
	assert_int_equal(back.holds, 0);
	assert_int_equal(back.txn, txn_id(txn));
	assert_int_equal(pending_delete(txn, "a/b"), 0);
	assert_int_equal(count_of(txn), 0);
	assert_int_equal(pending_next(txn, NULL, &back), -ENOENT);
	assert_int_equal(txn_commit(&txn), 0);
}

/* Keys of every length, in a few families that share long beginnings. */
static void draw_key(char *out, size_t length)
{
	static const char fill[] = "xyz";
	char c = fill[draw(3)];
	memset(out, c, length);
	if (draw(2) && length > 1)
		out[length - 1] = (char)('a' + draw(26));
	if (draw(4) == 0)
		out[draw(length)] = (char)(1 + draw(255));
	out[length] = '\0';
}

static size_t common(const char *a, const char *b)
{
	size_t n = 0;
	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

static void lengths_and_order(void **state)
{
	struct fixture *f = *state;
	char before[KEY_BYTES_MAX + 1] = "", key[KEY_BYTES_MAX + 1];
	struct pending_record r, back;
	uint64_t put = 0, seen = 0, inos = 0;
	struct txn *txn = must_write(f->index);
	for (size_t length = 1; length <= KEY_BYTES_MAX; length++) {
		draw_key(key, length);
		if (pending_get(txn, key, &back) == 0)
			continue;
		r = a_put(key, length, 1);
		assert_int_equal(pending_put(txn, &r), 0);
		inos += length;
		put++;
	}
	assert_int_equal(count_of(txn), put);
	assert_int_equal(txn_commit(&txn), 0);
	txn = must_read(f->index);
	assert_int_equal(count_of(txn), put);
	while (pending_next(txn, before, &r) == 0) {
		assert_int_equal(pending_get(txn, r.key, &back), 0);
		assert_string_equal(back.key, r.key);
		assert_int_equal(strlen(r.key), r.ino);
		inos -= r.ino;
		if (seen++ > 0 && common(before, r.key) < PREFIX)
			assert_true(strcmp(before, r.key) < 0);
		if (strlen(before) <= SHORT_MAX && strlen(r.key) <= SHORT_MAX)
			assert_true(strcmp(before, r.key) < 0);
		strcpy(before, r.key);
	}
	assert_int_equal(seen, put);
	assert_int_equal(inos, 0);
	txn_abort(&txn);
	txn = must_write(f->index);
	while (pending_next(txn, NULL, &r) == 0)
		assert_int_equal(pending_delete(txn, r.key), 0);
	assert_int_equal(count_of(txn), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

/* The position need not exist any more, and may be long. */
static void next_after_gone(void **state)
{
	struct fixture *f = *state;
	char long_key[KEY_BYTES_MAX + 1];
	struct pending_record r = a_put("b", 7, 1), back;
	memset(long_key, 'a', KEY_BYTES_MAX);
	long_key[KEY_BYTES_MAX] = '\0';
	struct txn *txn = must_write(f->index);
	assert_int_equal(pending_put(txn, &r), 0);
	assert_int_equal(pending_next(txn, "a", &back), 0);
	assert_string_equal(back.key, "b");
	assert_int_equal(pending_next(txn, long_key, &back), 0);
	assert_string_equal(back.key, "b");
	assert_int_equal(pending_next(txn, "b", &back), -ENOENT);
	assert_int_equal(pending_next(txn, "b!", &back), -ENOENT);
	txn_abort(&txn);
}

/* Two keys with one digest cannot be made here; a record of another key at the place of one can. */
static void collision(void **state)
{
	struct fixture *f = *state;
	char key[KEY_BYTES_MAX + 1];
	uint8_t stored[RECORD_KEY_BYTES_MAX];
	struct pending_record r, back;
	memset(key, 'k', 600);
	key[600] = '\0';
	struct txn *txn = must_write(f->index);
	/* a short key whose bytes are what the long one is stored as */
	size_t length = record_pending_key(stored, key);
	for (int i = 0; memchr(stored, 0, length) && i < 26; i++) {
		key[599] = (char)('a' + i);
		length = record_pending_key(stored, key);
	}
	r = a_put("", 3, 1);
	memcpy(r.key, stored, length);
	assert_int_equal(pending_put(txn, &r), 0);
	assert_int_equal(pending_get(txn, key, &back), -EIO);
	struct pending_record other = a_put(key, 4, 1);
	assert_int_equal(pending_put(txn, &other), -EIO);
	assert_int_equal(pending_delete(txn, key), -EIO);
	assert_int_equal(pending_get(txn, r.key, &back), 0);
	txn_abort(&txn);
}

static int drop(void *arg, const struct upload_record *record)
{
	struct {
		struct txn *txn;
		int count;
	} *d = arg;
	d->count++;
	assert_int_equal(record->blob, d->count);
	assert_int_equal(strlen(record->key), record->blob);
	assert_int_equal(strlen(record->id), record->blob - 1);
	return uploads_delete(d->txn, record->blob);
}

static void uploads(void **state)
{
	struct fixture *f = *state;
	struct {
		struct txn *txn;
		int count;
	} d = {must_write(f->index), 0};
	for (uint64_t blob = 20; blob > 0; blob--) {
		struct upload_record r = {.blob = blob, .since_ns = 3};
		memset(r.key, 'k', blob);
		assert_int_equal(uploads_put(d.txn, &r), 0);
		memset(r.id, 'i', blob - 1); /* the id comes later */
		assert_int_equal(uploads_put(d.txn, &r), 0);
	}
	assert_int_equal(uploads_delete(d.txn, 21), -ENOENT);
	assert_int_equal(uploads_each(d.txn, drop, &d), 0);
	assert_int_equal(d.count, 20);
	d.count = 0;
	assert_int_equal(uploads_each(d.txn, drop, &d), 0);
	assert_int_equal(d.count, 0);
	assert_int_equal(txn_commit(&d.txn), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(collapse),  TEST(lengths_and_order), TEST(next_after_gone),
	    TEST(collision), TEST(uploads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
