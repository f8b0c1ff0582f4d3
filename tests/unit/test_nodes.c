/* Nodes: records, totals, keys by walking up, orphans; and everything that goes with a deleted
 * node. */
#include "index_fixture.h"
#include "cache/index/ages.h"
#include "cache/index/internal.h"

static struct index_totals totals(struct txn *txn)
{
	struct index_totals t;
	assert_int_equal(index_totals(txn, &t), 0);
	return t;
}

static void root(void **state)
{
	struct fixture *f = *state;
	struct node_record r;
	struct txn *txn = must_read(f->index);
	assert_int_equal(f->start, INDEX_NEW);
	assert_int_equal(nodes_get(txn, INO_ROOT, &r), 0);
	assert_int_equal(r.mode, S_IFDIR | 0755);
	assert_int_equal(r.nlink, 2);
	assert_int_equal(r.flags, 0);
	assert_int_equal(r.parent, INO_ROOT);
	assert_string_equal(r.name, "");
	assert_true(r.mtime_ns > 1600000000000000000);
	assert_int_equal(totals(txn).folders, 1);
	assert_int_equal(nodes_get(txn, 2, &r), -ENOENT);
	txn_abort(&txn);
}

static void totals_follow(void **state)
{
	struct fixture *f = *state;
	struct node_record r;
	struct txn *txn = must_write(f->index);
	uint64_t dir = must_make(txn, 1, "d", S_IFDIR, 0);
	uint64_t file = must_make(txn, dir, "f", S_IFREG, 1000);
	uint64_t symlink = must_make(txn, dir, "s", S_IFLNK, 7);
	struct index_totals t = totals(txn);
	assert_int_equal(t.folders, 2);
	assert_int_equal(t.files, 1);
	assert_int_equal(t.symlinks, 1);
	assert_int_equal(t.bytes, 1007);
	assert_int_equal(nodes_get(txn, file, &r), 0);
	r.size = 10;
	assert_int_equal(nodes_put(txn, &r), 0);
	r.mtime_ns++; /* the sums stay */
	assert_int_equal(nodes_put(txn, &r), 0);
	assert_int_equal(totals(txn).bytes, 17);
	assert_int_equal(txn_commit(&txn), 0);

	txn = must_write(f->index);
	assert_int_equal(nodes_delete(txn, file), 0);
	assert_int_equal(totals(txn).bytes, 7);
	txn_abort(&txn); /* not kept */
	txn = must_read(f->index);
	assert_int_equal(totals(txn).bytes, 17);
	txn_abort(&txn);

	/* a listing took it for a file */
	txn = must_write(f->index);
	assert_int_equal(nodes_get(txn, file, &r), 0);
	r.mode = S_IFLNK | 0777;
	assert_int_equal(nodes_put(txn, &r), 0);
	assert_int_equal(nodes_delete(txn, symlink), 0);
	assert_int_equal(nodes_delete(txn, symlink), -ENOENT);
	t = totals(txn);
	assert_int_equal(t.files, 0);
	assert_int_equal(t.symlinks, 1);
	assert_int_equal(t.bytes, 10);
	assert_int_equal(txn_commit(&txn), 0);
}

static int count_links(void *arg, uint64_t parent, const char *name)
{
	(void)parent;
	(void)name;
	++*(int *)arg;
	return 0;
}

static int count_inos(void *arg, uint64_t ino)
{
	(void)ino;
	++*(int *)arg;
	return 0;
}

static void delete_takes_all(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf list = BUF_EMPTY;
	uint64_t stamp, bytes;
	int links = 0, orphans = 0;
	struct txn *txn = must_write(f->index);
	uint64_t before = must_make(txn, 1, "before", S_IFREG, 0);
	uint64_t ino = must_make(txn, 1, "f", S_IFREG, 0);
	uint64_t behind = must_make(txn, 1, "behind", S_IFREG, 0);
	for (uint64_t i = before; i <= behind; i++) {
		assert_int_equal(ages_touch(txn, i, 77, 100), 0);
		assert_int_equal(xattrs_put(txn, i, "user.a", "1", 1), 0);
		assert_int_equal(xattrs_put(txn, i, "user.b", "2", 1), 0);
		assert_int_equal(links_add(txn, i, 1, "other"), 0);
		assert_int_equal(orphans_add(txn, i), 0);
	}
	assert_int_equal(nodes_delete(txn, ino), 0);
	assert_int_equal(ages_get(txn, ino, &stamp, &bytes), -ENOENT);
	assert_int_equal(xattrs_list(txn, ino, &list), 0);
	assert_int_equal(list.length, 0);
	assert_int_equal(links_each(txn, ino, count_links, &links), 0);
	assert_int_equal(links, 0);
	assert_int_equal(orphans_each(txn, count_inos, &orphans), 0);
	assert_int_equal(orphans, 2);
	assert_int_equal(ages_total(txn, &bytes), 0);
	assert_int_equal(bytes, 200);
	/* the neighbours keep theirs */
	assert_int_equal(links_each(txn, before, count_links, &links), 0);
	assert_int_equal(links_each(txn, behind, count_links, &links), 0);
	assert_int_equal(links, 2);
	assert_int_equal(xattrs_list(txn, behind, &list), 0);
	assert_int_equal(list.length, 14);
	assert_int_equal(txn_commit(&txn), 0);
}

static void keys(void **state)
{
	struct fixture *f = *state;
	char key[KEY_BYTES_MAX + 1], text[NAME_BYTES_MAX + 1];
	struct node_record r;
	struct txn *txn = must_write(f->index);
	uint64_t a = must_make(txn, 1, "a", S_IFDIR, 0);
	uint64_t b = must_make(txn, a, "b b", S_IFDIR, 0);
	uint64_t c = must_make(txn, b, "c.jpg", S_IFREG, 0);
	assert_int_equal(nodes_key(txn, INO_ROOT, key), 0);
	assert_string_equal(key, "");
	assert_int_equal(nodes_key(txn, c, key), 0);
	assert_string_equal(key, "a/b b/c.jpg");
	assert_int_equal(nodes_key_of_name(txn, b, "new", key), 0);
	assert_string_equal(key, "a/b b/new");
	assert_int_equal(nodes_key_of_name(txn, INO_ROOT, "new", key), 0);
	assert_string_equal(key, "new");
	assert_int_equal(nodes_key_of_name(txn, b, "x/y", key), -EINVAL);
	assert_int_equal(nodes_key(txn, 12345, key), -ENOENT);
	assert_int_equal(nodes_get(txn, a, &r), 0);
	assert_int_equal(nodes_delete(txn, a), 0);
	assert_int_equal(nodes_key(txn, c, key), -ENOENT);
	assert_int_equal(nodes_put(txn, &r), 0);

	/* exactly 1024 bytes, and one more */
	uint64_t parent = INO_ROOT;
	memset(text, 'k', sizeof(text));
	text[NAME_BYTES_MAX] = '\0';
	for (int i = 0; i < 3; i++)
		parent = must_make(txn, parent, text, S_IFDIR, 0);
	assert_int_equal(nodes_key_of_name(txn, parent, text, key), 0);
	assert_int_equal(strlen(key), 4 * NAME_BYTES_MAX + 3);
	text[NAME_BYTES_MAX - 1] = '\0';
	parent = must_make(txn, parent, text, S_IFDIR, 0);
	assert_int_equal(nodes_key_of_name(txn, parent, "x", key), 0);
	assert_int_equal(strlen(key), KEY_BYTES_MAX);
	assert_int_equal(key[KEY_BYTES_MAX - 1], 'x');
	assert_int_equal(nodes_key_of_name(txn, parent, "xx", key), -ENAMETOOLONG);

	/* a loop, as only damage makes one, ends */
	assert_int_equal(nodes_get(txn, a, &r), 0);
	r.parent = b;
	assert_int_equal(nodes_put(txn, &r), 0);
	assert_int_equal(nodes_key(txn, c, key), -ENAMETOOLONG);
	txn_abort(&txn);
}

static int drop_and_note(void *arg, uint64_t ino)
{
	struct {
		struct txn *txn;
		int count;
	} *d = arg;
	d->count++;
	return nodes_delete(d->txn, ino);
}

static int stop(void *arg, uint64_t ino)
{
	(void)ino;
	return *(int *)arg;
}

static void orphans(void **state)
{
	struct fixture *f = *state;
	struct {
		struct txn *txn;
		int count;
	} d = {must_write(f->index), 0};
	for (int i = 0; i < 10; i++) {
		struct node_record r = a_node(txn_new_ino(d.txn), 1, "", S_IFREG);
		r.flags = NODE_ORPHAN;
		r.nlink = 0;
		assert_int_equal(nodes_put(d.txn, &r), 0);
		assert_int_equal(orphans_add(d.txn, r.ino), 0);
	}
	assert_int_equal(orphans_each(d.txn, stop, &(int){1}), 0);
	assert_int_equal(orphans_each(d.txn, stop, &(int){-EBUSY}), -EBUSY);
	assert_int_equal(orphans_each(d.txn, drop_and_note, &d),
			 0); /* may delete what it is given */
	assert_int_equal(d.count, 10);
	d.count = 0;
	assert_int_equal(orphans_each(d.txn, drop_and_note, &d), 0);
	assert_int_equal(d.count, 0);
	assert_int_equal(totals(d.txn).files, 0);
	txn_abort(&d.txn);
}

/* The largest record does not fit into a page; small again it leaves nothing behind. */
static void grows_and_shrinks(void **state)
{
	struct fixture *f = *state;
	struct node_record r, back;
	struct txn *txn = must_write(f->index);
	uint64_t ino = must_make(txn, 1, "f", S_IFREG, 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(nodes_get(txn, ino, &r), 0);
		memset(r.home, i % 2 ? 'h' : 0, KEY_BYTES_MAX);
		r.present_bytes = i % 2 ? NODE_PRESENT_BYTES : 0;
		memset(r.present, i, sizeof(r.present));
		r.blob = 9;
		assert_int_equal(nodes_put(txn, &r), 0);
		assert_int_equal(nodes_get(txn, ino, &back), 0);
		assert_string_equal(back.home, r.home);
		assert_int_equal(back.present_bytes, r.present_bytes);
		assert_memory_equal(back.present, r.present, r.present_bytes);
	}
	assert_int_equal(txn_commit(&txn), 0);
}

static void damaged(void **state)
{
	struct fixture *f = *state;
	struct node_record r;
	char key[KEY_BYTES_MAX + 1];
	uint64_t ino = 99;
	struct txn *txn = must_write(f->index);
	assert_int_equal(dbi_put(txn, DBI_NODES, dbi_key(&ino), (struct bytes){"\x03", 1}), 0);
	assert_int_equal(nodes_get(txn, ino, &r), -EUCLEAN);
	assert_int_equal(nodes_key(txn, ino, key), -EUCLEAN);
	assert_int_equal(nodes_delete(txn, ino), -EUCLEAN);
	/* what cannot be read does not keep others from being written */
	must_make(txn, 1, "f", S_IFREG, 0);
	assert_int_equal(txn_commit(&txn), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(root),	   TEST(totals_follow),	    TEST(delete_takes_all), TEST(keys),
	    TEST(orphans), TEST(grows_and_shrinks), TEST(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
