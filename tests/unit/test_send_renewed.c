/* attrs=object: headers are renewed by a copy of the object onto itself, which may give it another ETag (that of a
 * multipart upload is lost by it). What if the index falls back behind such a copy? */
#include "send_fixture.h"

enum { LENGTH = 200 << 10 };

static void set_mode(const char *path, uint32_t mode)
{
	const struct attr_change change = {.fields = ATTR_MODE, .mode = mode};
	struct stat st;
	ok(send_rig_look(&rig, path, &st));
	ok(tree_setattr(&rig.cache, st.st_ino, &change, &st));
}

/* Two changes; the copy for the first has an effect that the index, which has the second, never hears of. */
static void test_copy_of_older_attrs(void **state)
{
	static char bytes[LENGTH];
	struct send_rig after;
	struct object object;
	struct buf read AUTO_BUF = BUF_EMPTY;
	struct stat st;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	send_rig_start(&rig);
	ok(send_rig_write(&rig, "a", bytes, sizeof(bytes)));
	drain();
	assert_true(store_get(rig.store, "a", NULL, &object));
	assert_non_null(strchr(object.etag, '-'));
	send_rig_stop(&rig, true);
	rig.config.bucket.attrs_object = true;
	send_rig_start(&rig);
	assert_true(send_rig_evict(&rig, "a"));

	store_gate(rig.store, "a");
	set_mode("a", 0600);
	cover();
	assert_int_equal(store_at_gate(rig.store, 1), 1);
	set_mode("a", 0660);
	cover();
	send_rig_crash(&rig, &after, true);
	object.attrs = (struct object_attrs){.valid = true, .mode = S_IFREG | 0600};
	store_put(after.store, "a", bytes, sizeof(bytes), &object.attrs, NULL);
	store_gate_open(rig.store);

	send_rig_start(&after);
	ok(send_rig_look(&after, "a", &st));
	assert_true(send_rig_drain(&after, 4000));
	ok(send_rig_read(&after, st.st_ino, &read));
	assert_int_equal(read.length, sizeof(bytes));
	assert_memory_equal(read.data, bytes, sizeof(bytes));
	assert_true(store_get(after.store, "a", NULL, &object));
	assert_int_equal(object.attrs.mode, S_IFREG | 0660);
	send_rig_destroy(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(copy_of_older_attrs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
