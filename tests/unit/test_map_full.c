/* The map of the index is full: changes are refused, what was acknowledged is seen, and there after a kill or a stop. */
#include <dlfcn.h>
#include <lmdb.h>
#include "index_fixture.h"

enum { SMALL_BYTES = 1 << 20 };
static bool small = true;

/* Stands before LMDB's. */
int mdb_env_set_mapsize(MDB_env *env, size_t bytes)
{
	int (*real)(MDB_env *, size_t);
	*(void **)&real = dlsym(RTLD_NEXT, "mdb_env_set_mapsize");
	return real(env, small ? SMALL_BYTES : bytes);
}

static int make_one(struct index *index, int number)
{
	struct txn *txn;
	char name[32];
	int rc = txn_begin_write(index, &txn);
	if (rc != 0)
		return rc;
	snprintf(name, sizeof(name), "name-%d", number);
	uint64_t ino = txn_new_ino(txn);
	struct node_record r = a_node(ino, INO_ROOT, name, S_IFREG);
	rc = nodes_put(txn, &r);
	if (rc == 0)
		rc = names_put(txn, INO_ROOT, name, false, ino, 0);
	int ended = txn_commit(&txn);
	return rc != 0 ? rc : ended;
}

static bool is_there(struct index *index, int number)
{
	struct txn *txn;
	struct name found;
	char name[32];
	snprintf(name, sizeof(name), "name-%d", number);
	assert_int_equal(txn_begin_look(index, &txn), 0);
	int rc = names_get(txn, INO_ROOT, name, &found);
	txn_abort(&txn);
	assert_true(rc == 0 || rc == -ENOENT);
	return rc == 0;
}

static void survives(void **state)
{
	struct fixture *f = *state;
	int made = 0, rc;
	while ((rc = make_one(f->index, made)) == 0 && made < 100000)
		made++;
	assert_int_equal(rc, -ENOSPC);
	assert_true(made > 100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(make_one(f->index, made), -ENOSPC);
	for (int i = 0; i < made; i++)
		assert_true(is_there(f->index, i));
	assert_false(is_there(f->index, made));
	index_close(&f->index);
	small = false;
	fixture_open(f, "boot-1");
	for (int i = 0; i < made; i++)
		assert_true(is_there(f->index, i));
	assert_false(is_there(f->index, made));
	assert_int_equal(make_one(f->index, made), 0);
	must_checkpoint(f->index);
	assert_true(is_there(f->index, made));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(survives, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
