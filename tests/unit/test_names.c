/* Names: lookups by either form, the order of S3, and walks that go on after any name, gone or not.
 */
#include "index_fixture.h"

enum { SEEN_MAX = 64 };
struct seen {
	size_t count, stop_at;
	struct name names[SEEN_MAX];
};

static int note(void *arg, const struct name *name)
{
	struct seen *seen = arg;
	assert_true(seen->count < SEEN_MAX);
	seen->names[seen->count++] = *name;
	return seen->count == seen->stop_at ? 1 : 0;
}

static void walk(struct txn *txn, uint64_t parent, const char *after, bool folder,
		 struct seen *seen)
{
	struct names_position position = {.folder = folder};
	memset(seen, 0, sizeof(*seen));
	if (after)
		snprintf(position.text, sizeof(position.text), "%s", after);
	assert_int_equal(names_each(txn, parent, after ? &position : NULL, note, seen), 0);
}

/* Sorted as S3 lists the keys. */
static const struct {
	const char *text;
	bool folder;
} sorted[] = {
    {"!", false},    {"a", false},  {"a!", true},     {"a-b", false},
    {"a.", true},    {"aa", true},  {"a0", false},    {"b", true},
    {"b-", false},   {"b.c", true}, {"b0", true},     {"c d", false},
    {"d\x01", true}, {"d", true},   {"d\x7f", false}, {"\xc3\xa9", false},
};
enum { SORTED = sizeof(sorted) / sizeof(sorted[0]) };

static int by_key(const void *a, const void *b)
{
	char one[300], other[300];
	size_t i = *(const size_t *)a, k = *(const size_t *)b;
	snprintf(one, sizeof(one), "%s%s", sorted[i].text, sorted[i].folder ? "/" : "");
	snprintf(other, sizeof(other), "%s%s", sorted[k].text, sorted[k].folder ? "/" : "");
	return strcmp(one, other);
}

static void order(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	size_t rows[SORTED];
	struct txn *txn = must_write(f->index);

	for (size_t i = 0; i < SORTED; i++)
		rows[i] = i;
	for (size_t i = 0; i < SORTED; i++) {
		size_t k = (i * 7) % SORTED; /* not in order */
		assert_int_equal(names_put(txn, 5, sorted[k].text, sorted[k].folder, 100 + k, 0),
				 0);
	}
	/* neighbours that must not be seen */
	assert_int_equal(names_put(txn, 4, "z", false, 50, 0), 0);
	assert_int_equal(names_put(txn, 6, "!", false, 51, 0), 0);
	qsort(rows, SORTED, sizeof(rows[0]), by_key);
	walk(txn, 5, NULL, false, &seen);
	assert_int_equal(seen.count, SORTED);
	for (size_t i = 0; i < SORTED; i++) {
		assert_string_equal(seen.names[i].text, sorted[rows[i]].text);
		assert_int_equal(seen.names[i].folder, sorted[rows[i]].folder);
		assert_int_equal(seen.names[i].ino, 100 + rows[i]);
		assert_int_equal(seen.names[i].cookie, 100 + rows[i]);
	}
	/* from each one on, with it there and with it gone */
	for (size_t i = 0; i < SORTED; i++) {
		const char *text = sorted[rows[i]].text;
		bool folder = sorted[rows[i]].folder;
		walk(txn, 5, text, folder, &seen);
		assert_int_equal(seen.count, SORTED - i - 1);
		assert_int_equal(names_delete(txn, 5, text, folder), 0);
		walk(txn, 5, text, folder, &seen);
		assert_int_equal(seen.count, SORTED - i - 1);
		if (i + 1 < SORTED)
			assert_string_equal(seen.names[0].text, sorted[rows[i + 1]].text);
	}
	bool empty = false;
	assert_int_equal(names_empty(txn, 5, &empty), 0);
	assert_true(empty);
	txn_abort(&txn);
}

static void classic_order(void **state)
{
	struct fixture *f = *state;
	struct seen seen;
	struct txn *txn = must_write(f->index);
	assert_int_equal(names_put(txn, 1, "a0", false, 10, 0), 0);
	assert_int_equal(names_put(txn, 1, "a", true, 11, 0), 0);
	assert_int_equal(names_put(txn, 1, "a-b", false, 12, 0), 0);
	walk(txn, 1, NULL, false, &seen);
	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.names[0].text, "a-b");
	assert_string_equal(seen.names[1].text, "a");
	assert_string_equal(seen.names[2].text, "a0");
	/* the position of a file named as the folder is before it, that of the folder behind */
	walk(txn, 1, "a", false, &seen);
	assert_string_equal(seen.names[0].text, "a-b");
	walk(txn, 1, "a", true, &seen);
	assert_string_equal(seen.names[0].text, "a0");
	txn_abort(&txn);
}

static void get_both_forms(void **state)
{
	struct fixture *f = *state;
	struct name name;
	static const struct {
		const char *text;
		bool folder;
	} rows[] = {
	    {"plain", false}, {"dir", true}, {"pic.jpg", false}, {"v1.2", true}, {".env", false}};
	struct txn *txn = must_write(f->index);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(
		    names_put(txn, 1, rows[i].text, rows[i].folder, 10 + i, i == 4 ? 99 : 0), 0);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(names_get(txn, 1, rows[i].text, &name), 0);
		assert_string_equal(name.text, rows[i].text);
		assert_int_equal(name.folder, rows[i].folder);
		assert_int_equal(name.ino, 10 + i);
		assert_int_equal(name.cookie, i == 4 ? 99 : 10 + i);
		/* taken, whatever the new one is */
		assert_int_equal(names_put(txn, 1, rows[i].text, true, 20, 0), -EEXIST);
		assert_int_equal(names_put(txn, 1, rows[i].text, false, 20, 0), -EEXIST);
		/* but not elsewhere */
		assert_int_equal(names_get(txn, 2, rows[i].text, &name), -ENOENT);
		assert_int_equal(names_delete(txn, 1, rows[i].text, !rows[i].folder), -ENOENT);
	}
	assert_int_equal(names_get(txn, 1, "plai", &name), -ENOENT);
	assert_int_equal(names_get(txn, 1, "plain0", &name), -ENOENT);
	/* a refused name spoils nothing */
	assert_int_equal(txn_commit(&txn), 0);
}

static void limits(void **state)
{
	struct fixture *f = *state;
	struct name name;
	char longest[NAME_BYTES_MAX + 2];
	memset(longest, 'n', sizeof(longest));
	longest[NAME_BYTES_MAX + 1] = '\0';
	struct txn *txn = must_write(f->index);
	static const char *const bad[] = {"", ".", "..", "a/b", "/"};
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(names_put(txn, 1, bad[i], false, 5, 0), -EINVAL);
		assert_int_equal(names_get(txn, 1, bad[i], &name), -EINVAL);
		assert_int_equal(names_delete(txn, 1, bad[i], false), -EINVAL);
	}
	assert_int_equal(names_put(txn, 1, longest, true, 5, 0), -ENAMETOOLONG);
	assert_int_equal(names_get(txn, 1, longest, &name), -ENAMETOOLONG);
	longest[NAME_BYTES_MAX] = '\0';
	assert_int_equal(names_put(txn, UINT64_MAX, longest, true, UINT64_MAX, UINT64_MAX - 1), 0);
	assert_int_equal(names_get(txn, UINT64_MAX, longest, &name), 0);
	assert_string_equal(name.text, longest);
	assert_int_equal(name.cookie, UINT64_MAX - 1);
	struct seen seen;
	walk(txn, UINT64_MAX, NULL, false, &seen);
	assert_int_equal(seen.count, 1);
	walk(txn, UINT64_MAX, longest, true, &seen);
	assert_int_equal(seen.count, 0);
	txn_abort(&txn);
}

static int refuse(void *arg, const struct name *name)
{
	(void)name;
	return *(int *)arg;
}

static void visits(void **state)
{
	struct fixture *f = *state;
	struct seen seen = {.stop_at = 2};
	struct txn *txn = must_write(f->index);
	bool empty = true;
	for (int i = 0; i < 5; i++) {
		char text[16];
		snprintf(text, sizeof(text), "n%d", i);
		must_make(txn, 1, text, i % 2 ? S_IFDIR : S_IFREG, 0);
	}
	assert_int_equal(txn_commit(&txn), 0);
	txn = must_read(f->index);
	assert_int_equal(names_each(txn, 1, NULL, note, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(names_each(txn, 1, NULL, refuse, &(int){-ENOENT}), -ENOENT);
	assert_int_equal(names_each(txn, 1, NULL, refuse, &(int){-EIO}), -EIO);
	assert_int_equal(names_empty(txn, 1, &empty), 0);
	assert_false(empty);
	assert_int_equal(names_empty(txn, 777, &empty), 0);
	assert_true(empty);
	txn_abort(&txn);
}

/* As readdir does it: entries come and go between the pages; none that stays is missed or seen
 * twice. */
static void pages(void **state)
{
	struct fixture *f = *state;
	enum { STAY = 300, PAGE = 7 };
	unsigned char count[STAY] = {0};
	struct names_position after;
	bool first = true;
	char text[16];
	struct txn *txn = must_write(f->index);
	for (int i = 0; i < STAY; i++) {
		snprintf(text, sizeof(text), "stay%03d", i);
		must_make(txn, 1, text, i % 3 ? S_IFREG : S_IFDIR, 0);
	}
	assert_int_equal(txn_commit(&txn), 0);
	for (int page = 0;; page++) {
		struct seen seen = {.stop_at = PAGE};
		txn = must_write(f->index);
		snprintf(text, sizeof(text), "stay%03u", (unsigned)draw(STAY));
		strcat(text, "-x");
		if (names_delete(txn, 1, text, false) == -ENOENT)
			assert_int_equal(names_put(txn, 1, text, false, 5000 + (uint64_t)page, 0),
					 0);
		assert_int_equal(names_each(txn, 1, first ? NULL : &after, note, &seen), 0);
		assert_int_equal(txn_commit(&txn), 0);
		if (seen.count == 0)
			break;
		first = false;
		for (size_t i = 0; i < seen.count; i++)
			if (!strchr(seen.names[i].text, '-'))
				count[atoi(seen.names[i].text + 4)]++;
		snprintf(after.text, sizeof(after.text), "%s", seen.names[seen.count - 1].text);
		after.folder = seen.names[seen.count - 1].folder;
	}
	for (int i = 0; i < STAY; i++)
		assert_int_equal(count[i], 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(order),  TEST(classic_order), TEST(get_both_forms),
	    TEST(limits), TEST(visits),	       TEST(pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
