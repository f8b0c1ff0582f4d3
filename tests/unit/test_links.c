/* Further names of a node. */
#include "index_fixture.h"

struct seen {
	struct txn *txn;
	int count, rc;
	bool remove;
	uint64_t ino, parents[8];
	char names[8][NAME_BYTES_MAX + 1];
};

static int note(void *arg, uint64_t parent, const char *name)
{
	struct seen *seen = arg;
	seen->parents[seen->count] = parent;
	snprintf(seen->names[seen->count++], NAME_BYTES_MAX + 1, "%s", name);
	if (seen->remove)
		assert_int_equal(links_delete(seen->txn, seen->ino, parent, name), 0);
	return seen->rc;
}

static void add_each_delete(void **state)
{
	struct fixture *f = *state;
	char longest[NAME_BYTES_MAX + 1];
	memset(longest, 'n', NAME_BYTES_MAX);
	longest[NAME_BYTES_MAX] = '\0';
	struct seen seen = {.txn = must_write(f->index), .ino = 7};
	assert_int_equal(links_add(seen.txn, 7, 3, "b"), 0);
	assert_int_equal(links_add(seen.txn, 7, 3, "a"), 0);
	assert_int_equal(links_add(seen.txn, 7, UINT64_MAX, longest), 0);
	assert_int_equal(links_add(seen.txn, 6, 3, "other node"), 0);
	assert_int_equal(links_add(seen.txn, 8, 3, "other node"), 0);
	assert_int_equal(links_add(seen.txn, 7, 3, "a/b"), -EINVAL);
	assert_int_equal(links_each(seen.txn, 7, note, &seen), 0);
	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.names[0], "a");
	assert_string_equal(seen.names[1], "b");
	assert_string_equal(seen.names[2], longest);
	assert_int_equal(seen.parents[0], 3);
	assert_int_equal(seen.parents[2], UINT64_MAX);
	assert_int_equal(links_delete(seen.txn, 7, 3, "a"), 0);
	assert_int_equal(links_delete(seen.txn, 7, 3, "a"), -ENOENT);
	seen.count = 0;
	seen.rc = 1;
	assert_int_equal(links_each(seen.txn, 7, note, &seen), 0);
	assert_int_equal(seen.count, 1);
	seen.rc = -EPERM;
	assert_int_equal(links_each(seen.txn, 7, note, &seen), -EPERM);
	seen.rc = 0;
	seen.count = 0;
	seen.remove = true;
	assert_int_equal(links_each(seen.txn, 7, note, &seen), 0);
	assert_int_equal(seen.count, 2);
	seen.count = 0;
	assert_int_equal(links_each(seen.txn, 7, note, &seen), 0);
	assert_int_equal(seen.count, 0);
	txn_abort(&seen.txn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(add_each_delete, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
