/* Small named values. */
#include "index_fixture.h"

static void named_values(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf out = BUF_EMPTY;
	char value[META_VALUE_BYTES_MAX];
	memset(value, 'v', sizeof(value));
	const char *longest = "12345678901234567890123456789012";
	struct txn *txn = must_write(f->index);
	assert_int_equal(meta_get(txn, "survey", &out), -ENOENT);
	assert_int_equal(meta_delete(txn, "survey"), -ENOENT);
	assert_int_equal(meta_put(txn, "survey", "a\0b", 3), 0);
	assert_int_equal(meta_put(txn, "empty", NULL, 0), 0);
	assert_int_equal(meta_put(txn, longest, value, sizeof(value)), 0);
	assert_int_equal(txn_commit(&txn), 0);
	txn = must_read(f->index);
	assert_int_equal(meta_get(txn, "survey", &out), 0);
	assert_int_equal(out.length, 3);
	assert_memory_equal(out.data, "a\0b", 3);
	assert_int_equal(meta_get(txn, "empty", &out), 0);
	assert_int_equal(out.length, 0);
	assert_int_equal(meta_get(txn, longest, &out), 0);
	assert_int_equal(out.length, sizeof(value));
	txn_abort(&txn);
	txn = must_write(f->index);
	assert_int_equal(meta_delete(txn, "survey"), 0);
	assert_int_equal(meta_get(txn, "survey", &out), -ENOENT);
	txn_abort(&txn);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(named_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
