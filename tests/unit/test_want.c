/* Merging wishes: PUT, DELETE, PUT collapse; nothing that exists only at one key is overwritten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/flow/want.h"
#include "cache/index/names.h"

struct fixture {
	char folder[64];
	struct index *index;
	struct txn *txn;
};

static void ok(int r)
{
	assert_int_equal(r, 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct buf why AUTO_BUF = BUF_EMPTY;
	enum index_start start;
	strcpy(f->folder, "/tmp/tootfs-want-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	struct index_config config = {.folder = f->folder, .identity = "test"};
	ok(index_open(&config, &f->index, &start, &why));
	ok(txn_begin_write(f->index, &f->txn));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	txn_abort(&f->txn);
	index_close(&f->index);
	snprintf(command, sizeof command, "rm -r %s", f->folder);
	ok(system(command));
	free(f);
	return 0;
}

/* A file below the root; etag "" = the bucket never had it. */
static struct node_record make(struct fixture *f, const char *name, enum content content, const char *etag)
{
	struct node_record n = {.parent = INO_ROOT, .mode = S_IFREG | 0644, .nlink = 1, .version = 1,
				.content = content, .size = 5};
	n.ino = txn_new_ino(f->txn);
	if (content != CONTENT_REMOTE)
		n.blob = txn_new_blob(f->txn);
	strcpy(n.name, name);
	strcpy(n.etag, etag);
	ok(names_put(f->txn, INO_ROOT, name, false, n.ino, 0));
	ok(nodes_put(f->txn, &n));
	return n;
}

static void commit(struct fixture *f)
{
	ok(txn_commit(&f->txn));
	ok(txn_begin_write(f->index, &f->txn));
}

static void checkpoint(struct fixture *f)
{
	struct index_checkpoint *c;
	ok(txn_commit(&f->txn));
	ok(index_checkpoint_begin(f->index, &c));
	ok(index_checkpoint_commit(&c));
	ok(txn_begin_write(f->index, &f->txn));
}

static void expect(struct fixture *f, const char *key, enum pending_want want, uint64_t ino, uint64_t holds)
{
	struct pending_record p;
	ok(pending_get(f->txn, key, &p));
	assert_int_equal(p.want, want);
	assert_int_equal(p.ino, ino);
	assert_int_equal(p.holds, holds);
}

static void expect_none(struct fixture *f, const char *key)
{
	struct pending_record p;
	assert_int_equal(pending_get(f->txn, key, &p), -ENOENT);
}

/* The whole rename as tree_rename does it. */
static void move(struct fixture *f, struct node_record *n, const char *to)
{
	struct want_moved moved = {n->name, to, true};
	char from[NAME_BYTES_MAX + 1];
	strcpy(from, n->name);
	moved.from = from;
	ok(want_move_away(f->txn, f->index, n, &moved));
	ok(want_move_in(f->txn, f->index, n, &moved));
	ok(names_delete(f->txn, INO_ROOT, from, false));
	ok(names_put(f->txn, INO_ROOT, to, false, n->ino, 0));
	strcpy(n->name, to);
	ok(nodes_put(f->txn, n));
}

static void test_fresh_wish_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_DIRTY, "");
	ok(want_put(f->txn, f->index, "a", &n));
	commit(f);
	ok(want_absent(f->txn, f->index, "a", 0));
	expect_none(f, "a");
}

static void test_wish_that_may_be_sent_is_not_forgotten(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_DIRTY, "");
	ok(want_put(f->txn, f->index, "a", &n));
	checkpoint(f);
	ok(want_absent(f->txn, f->index, "a", 0));
	expect(f, "a", PENDING_ABSENT, 0, 0);
}

/* v1 is covered and may be in flight; v2 is not covered: forgetting v2's record would leave v1's object. */
static void test_rewritten_wish_is_not_forgotten(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_DIRTY, "");
	ok(want_put(f->txn, f->index, "a", &n));
	checkpoint(f);
	n.version = 2;
	ok(want_put(f->txn, f->index, "a", &n));
	commit(f);
	ok(want_absent(f->txn, f->index, "a", 0));
	expect(f, "a", PENDING_ABSENT, 0, 0);
}

static void test_existing_object_is_never_fresh(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_DIRTY, "etag-of-v1");
	ok(want_put(f->txn, f->index, "a", &n));
	ok(want_absent(f->txn, f->index, "a", 0));
	expect(f, "a", PENDING_ABSENT, 0, 0);
	struct node_record m = make(f, "b", CONTENT_DIRTY, "");
	ok(want_put(f->txn, f->index, "a", &m));
	ok(want_absent(f->txn, f->index, "a", 0));
	expect(f, "a", PENDING_ABSENT, 0, 0);
}

static void test_rename_of_uploaded_holds_the_old_key(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_REMOTE, "e");
	struct pending_record p;
	char source[KEY_BYTES_MAX + 1];
	move(f, &n, "b");
	assert_string_equal(n.home, "a");
	expect(f, "a", PENDING_ABSENT, 0, n.ino);
	expect(f, "b", PENDING_PUT, n.ino, 0);
	ok(pending_get(f->txn, "a", &p));
	assert_int_equal(want_held(f->txn, &p), -EBUSY);
	assert_true(want_source(f->txn, &n, source));
	assert_string_equal(source, "a");
	/* a new file at the old name waits too */
	struct node_record m = make(f, "a", CONTENT_DIRTY, "");
	ok(want_put(f->txn, f->index, "a", &m));
	expect(f, "a", PENDING_PUT, m.ino, n.ino);
	ok(pending_get(f->txn, "a", &p));
	assert_int_equal(want_held(f->txn, &p), -EBUSY);
	/* the copy was made */
	n.home[0] = '\0';
	ok(nodes_put(f->txn, &n));
	ok(want_held(f->txn, &p));
	assert_int_equal(p.holds, 0);
}

static void test_rename_and_back_costs_nothing(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_CLEAN, "e");
	move(f, &n, "b");
	checkpoint(f);
	move(f, &n, "a");
	assert_string_equal(n.home, "");
	expect_none(f, "a");
	expect(f, "b", PENDING_ABSENT, 0, 0);
}

static void test_rename_twice_keeps_the_first_home(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_REMOTE, "e");
	move(f, &n, "b");
	move(f, &n, "c");
	assert_string_equal(n.home, "a");
	expect(f, "a", PENDING_ABSENT, 0, n.ino);
	expect(f, "b", PENDING_ABSENT, 0, 0);
	expect(f, "c", PENDING_PUT, n.ino, 0);
}

static void test_two_nodes_change_places(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_CLEAN, "e"), m = make(f, "b", CONTENT_CLEAN, "f");
	struct want_moved n_moves = {"a", "b", true}, m_moves = {"b", "a", true};
	ok(want_move_away(f->txn, f->index, &n, &n_moves));
	ok(want_move_away(f->txn, f->index, &m, &m_moves));
	ok(want_move_in(f->txn, f->index, &n, &n_moves));
	ok(want_move_in(f->txn, f->index, &m, &m_moves));
	assert_string_equal(n.home, "a");
	assert_string_equal(m.home, "b");
	expect(f, "a", PENDING_PUT, m.ino, n.ino);
	expect(f, "b", PENDING_PUT, n.ino, m.ino);
}

static void test_leaving_a_name_but_open(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_REMOTE, "e");
	struct pending_record p;
	ok(want_leave(f->txn, f->index, &n, &(struct want_left){"a", NULL, true}));
	assert_string_equal(n.home, "a");
	n.nlink = 0;
	n.flags |= NODE_ORPHAN;
	ok(nodes_put(f->txn, &n));
	ok(pending_get(f->txn, "a", &p));
	assert_int_equal(want_held(f->txn, &p), -EBUSY);
	ok(nodes_delete(f->txn, n.ino));
	ok(want_held(f->txn, &p));
	/* whoever has it open needs no object: what comes next at its key need not wait for a reader */
	struct node_record m = make(f, "b", CONTENT_CLEAN, "e");
	ok(want_leave(f->txn, f->index, &m, &(struct want_left){"b", NULL, true}));
	assert_string_equal(m.home, "");
	expect(f, "b", PENDING_ABSENT, 0, 0);
}

static void test_leaving_one_of_two_names(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_REMOTE, "e");
	ok(want_put(f->txn, f->index, "b", &n));
	/* b is not copied yet: a must stay */
	ok(want_leave(f->txn, f->index, &n, &(struct want_left){"a", "b", true}));
	assert_string_equal(n.home, "a");
	expect(f, "a", PENDING_ABSENT, 0, n.ino);
	/* d has an object of its own, but with an ETag that the node does not know: it is copied again */
	struct node_record m = make(f, "c", CONTENT_REMOTE, "e");
	ok(want_leave(f->txn, f->index, &m, &(struct want_left){"c", "d", true}));
	assert_string_equal(m.home, "c");
	expect(f, "c", PENDING_ABSENT, 0, m.ino);
	expect(f, "d", PENDING_PUT, m.ino, 0);
	/* the further name goes: the content is at the primary one */
	struct node_record o = make(f, "x", CONTENT_REMOTE, "e");
	ok(want_leave(f->txn, f->index, &o, &(struct want_left){"y", "x", false}));
	assert_string_equal(o.home, "");
	expect(f, "y", PENDING_ABSENT, 0, 0);
}

/* Renamed, then unlinked at the new name before it was copied there: nothing was pending at the name that is left, so the
 * hold of the first key was for ever. */
static void test_leaving_a_name_that_was_not_copied_yet(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_REMOTE, "e");
	move(f, &n, "c");
	ok(want_leave(f->txn, f->index, &n, &(struct want_left){"c", "b", true}));
	assert_string_equal(n.home, "a");
	expect(f, "a", PENDING_ABSENT, 0, n.ino);
	expect(f, "c", PENDING_ABSENT, 0, 0);
	expect(f, "b", PENDING_PUT, n.ino, 0);
	/* and back to where its content is */
	ok(want_leave(f->txn, f->index, &n, &(struct want_left){"b", "a", true}));
	assert_string_equal(n.home, "");
	struct pending_record p;
	assert_int_equal(pending_get(f->txn, "a", &p), -ENOENT);
}

static void test_attrs_do_not_replace_content(void **state)
{
	struct fixture *f = *state;
	struct node_record n = make(f, "a", CONTENT_DIRTY, "");
	struct pending_record p;
	ok(want_put(f->txn, f->index, "a", &n));
	ok(want_attrs(f->txn, "a", &n));
	ok(pending_get(f->txn, "a", &p));
	assert_false(p.attrs_only);
	struct node_record m = make(f, "b", CONTENT_CLEAN, "e");
	ok(want_attrs(f->txn, "b", &m));
	ok(pending_get(f->txn, "b", &p));
	assert_true(p.attrs_only);
	char source[KEY_BYTES_MAX + 1];
	assert_true(want_source(f->txn, &m, source));
	assert_string_equal(source, "b");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_fresh_wish_is_forgotten),
		TEST(test_wish_that_may_be_sent_is_not_forgotten),
		TEST(test_rewritten_wish_is_not_forgotten),
		TEST(test_existing_object_is_never_fresh),
		TEST(test_rename_of_uploaded_holds_the_old_key),
		TEST(test_rename_and_back_costs_nothing),
		TEST(test_rename_twice_keeps_the_first_home),
		TEST(test_two_nodes_change_places),
		TEST(test_leaving_a_name_but_open),
		TEST(test_leaving_one_of_two_names),
		TEST(test_leaving_a_name_that_was_not_copied_yet),
		TEST(test_attrs_do_not_replace_content),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
