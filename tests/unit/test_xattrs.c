/* User xattrs and their limits. */
#include "index_fixture.h"

static void get_put_delete(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf out = BUF_EMPTY;
	struct txn *txn = must_write(f->index);
	assert_int_equal(xattrs_get(txn, 5, "user.a", &out), -ENODATA);
	assert_int_equal(xattrs_delete(txn, 5, "user.a"), -ENODATA);
	assert_int_equal(xattrs_put(txn, 5, "user.b", "two\0bytes", 9), 0);
	assert_int_equal(xattrs_put(txn, 5, "user.a", "", 0), 0);
	assert_int_equal(xattrs_put(txn, 5, "user.c", NULL, 0), 0);
	assert_int_equal(xattrs_put(txn, 6, "user.z", "x", 1), 0);
	assert_int_equal(xattrs_get(txn, 5, "user.b", &out), 0);
	assert_int_equal(out.length, 9);
	assert_memory_equal(out.data, "two\0bytes", 9);
	assert_int_equal(xattrs_get(txn, 5, "user.a", &out), 0);
	assert_int_equal(out.length, 0);
	assert_int_equal(xattrs_list(txn, 5, &out), 0);
	assert_int_equal(out.length, 21);
	assert_memory_equal(out.data, "user.a\0user.b\0user.c", 21);
	assert_int_equal(xattrs_put(txn, 5, "user.b", "3", 1), 0);
	assert_int_equal(xattrs_get(txn, 5, "user.b", &out), 0);
	assert_string_equal(out.data, "3");
	assert_int_equal(xattrs_delete(txn, 5, "user.b"), 0);
	assert_int_equal(xattrs_get(txn, 5, "user.b", &out), -ENODATA);
	assert_int_equal(xattrs_list(txn, 4, &out), 0);
	assert_int_equal(out.length, 0);
	assert_int_equal(txn_commit(&txn), 0);
}

static void limits(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf out = BUF_EMPTY;
	char name[300];
	char *value = malloc(65537);
	assert_non_null(value);
	memset(value, 'v', 65537);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	struct txn *txn = must_write(f->index);
	assert_int_equal(xattrs_put(txn, 5, "", "x", 1), -ERANGE);
	assert_int_equal(xattrs_put(txn, 5, name, "x", 1), -ERANGE);
	name[255] = '\0';
	assert_int_equal(xattrs_put(txn, 5, name, value, 65537), -E2BIG);
	assert_int_equal(xattrs_put(txn, 5, name, value, 65536), 0);
	assert_int_equal(xattrs_get(txn, 5, name, &out), 0);
	assert_int_equal(out.length, 65536);
	assert_memory_equal(out.data, value, 65536);
	assert_int_equal(xattrs_put(txn, 5, "more", "x", 1), -ENOSPC);
	assert_int_equal(xattrs_put(txn, 5, name, value, 65535), 0); /* itself is not counted */
	assert_int_equal(xattrs_put(txn, 5, "more", "x", 1), 0);
	int rc = 0, count = 0;
	for (; rc == 0 && count < 1000; count++) {
		snprintf(name, sizeof(name), "%0200d", count);
		rc = xattrs_put(txn, 6, name, "", 0);
	}
	assert_int_equal(rc, -ENOSPC); /* the list of names must fit in 64 KiB too */
	assert_in_range(count, 320, 330);
	assert_int_equal(txn_commit(&txn), 0);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(get_put_delete, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(limits, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
