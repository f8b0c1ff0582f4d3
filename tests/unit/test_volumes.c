/* What the volume plugin keeps on disk: texts by name, whole or not at all; and the two kinds of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/docker/definition.h"
#include "tools/docker/request.h"
#include "tools/docker/texts.h"
#include "tools/docker/users.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/tootfs-texts-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static struct texts *open_texts(bool durable)
{
	struct texts *texts;
	char path[128];

	snprintf(path, sizeof(path), "%s/a/b", folder);
	assert_int_equal(texts_open(path, durable, &texts), 0);
	return texts;
}

static void assert_text(struct texts *texts, const char *name, const char *wanted)
{
	AUTO_FREE char *text = NULL;
	size_t length = 0;

	assert_int_equal(texts_get(texts, name, &text, &length), 0);
	assert_string_equal(text, wanted);
	assert_int_equal(length, strlen(wanted));
}

static void test_put_and_drop(void **state)
{
	struct texts *texts = open_texts(true), *second;
	char path[128], *text;
	struct stat now;
	size_t length;

	(void)state;
	assert_int_equal(texts_put(texts, "v", "one"), 0);
	assert_text(texts, "v", "one");
	assert_int_equal(texts_put(texts, "v", "two"), 0);
	assert_text(texts, "v", "two");
	snprintf(path, sizeof(path), "%s/a/b/v", folder);
	assert_int_equal(stat(path, &now), 0);
	assert_int_equal(now.st_mode & 07777, 0600);
	snprintf(path, sizeof(path), "%s/a/b", folder);
	assert_int_equal(texts_open(path, true, &second), -EBUSY);
	assert_null(second);
	texts_close(&texts);
	texts = open_texts(false);
	assert_text(texts, "v", "two");
	assert_int_equal(texts_drop(texts, "v"), 0);
	assert_int_equal(texts_drop(texts, "v"), 0);
	assert_int_equal(texts_get(texts, "v", &text, &length), -ENOENT);
	texts_close(&texts);
}

static int append_name(void *arg, const char *name)
{
	strcat(arg, name);
	return 0;
}

static int count_entry(void *arg, const char *name)
{
	(void)name;
	return ++*(int *)arg == 2 ? 42 : 0;
}

static void test_leftovers(void **state)
{
	struct texts *texts = open_texts(true);
	char path[128], names[256] = "";
	int count = 0, fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b/.new.7", folder);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(texts_put(texts, "v", "text"), 0);
	assert_int_equal(texts_each(texts, append_name, names), 0);
	assert_string_equal(names, "v");
	texts_close(&texts);
	texts = open_texts(true);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_text(texts, "v", "text");
	assert_int_equal(texts_put(texts, "w", "text"), 0);
	assert_int_equal(texts_each(texts, count_entry, &count), 42);
	texts_close(&texts);
}

static void test_users(void **state)
{
	AUTO_FREE char *text = NULL;
	struct users u, again;

	(void)state;
	assert_int_equal(users_init(&u), 0);
	users_drop(&u, "nobody");
	assert_int_equal(users_add(&u, "a"), 0);
	assert_int_equal(users_add(&u, "a"), 0);
	assert_int_equal(users_add(&u, "b"), 0);
	assert_int_equal(u.total, 3);
	users_drop(&u, "a");
	assert_int_equal(u.total, 2);
	text = users_text(&u, "now");
	assert_int_equal(users_read(&again, text, strlen(text), "now"), 0);
	assert_int_equal(again.total, 2);
	users_drop(&again, "a");
	users_drop(&again, "a");
	assert_int_equal(again.total, 1);
	users_destroy(&again);
	assert_int_equal(users_read(&again, text, strlen(text), "later"), 0);
	assert_int_equal(again.total, 0);
	users_destroy(&again);
	for (size_t cut = 0; cut < strlen(text); cut++) {
		assert_int_equal(users_read(&again, text, cut, "now"), 0);
		assert_int_equal(again.total, 0);
		users_destroy(&again);
	}
	users_destroy(&u);
}

static void test_names(void **state)
{
	static const char *const good[] = {"v", "0", "a.b-c_d", "masto_media", "A..", "a--"};
	static const char *const bad[] = {"", ".", "..", "-a", "_a", ".a", "a/b", "/a", "a b", "\xc3\xa4", "a\n", "a%2f"};
	char name[REQUEST_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(request_name_good(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(request_name_good(bad[i]));
	memset(name, 'a', sizeof(name));
	name[REQUEST_NAME_MAX + 1] = 0;
	assert_false(request_name_good(name));
	name[REQUEST_NAME_MAX] = 0;
	assert_true(request_name_good(name));
}

static const struct {
	const char *given;   /* options as JSON */
	const char *spec;    /* what tootfs gets; NULL = refused */
	const char *options; /* or: why */
} definitions[] = {
    {"{\"bucket\":\"media\"}", "s3://media", "cache=/c/v"},
    {"{\"bucket\":\"s3://media/p\"}", "s3://media/p", "cache=/c/v"},
    {"{\"bucket\":\"file:///srv\",\"ro\":\"\"}", "file:///srv", "ro,cache=/c/v"},
    {"{\"bucket\":\"b\",\"cache\":\"/x\"}", "s3://b", "cache=/x"},
    {"{\"bucket\":\"b\",\"cache\":\"/x\",\"cache_control\":\"a, \\\"b\\\\\"}", "s3://b",
     "cache=/x,cache_control=a\\, \\\"b\\\\"},
    {"{}", NULL, "bucket is missing"},
    {"{\"bucket\":\"\"}", NULL, "bucket is missing"},
    {"{\"bucket\":\"ftp://x\"}", NULL, "s3://NAME"},
    {"{\"bucket\":\"file://x\"}", NULL, "file:///"},
    {"{\"bucket\":\"b\",\"uplods\":\"1\"}", NULL, "did you mean"},
    {"{\"bucket\":\"b\",\"\":\"1\"}", NULL, "no name"},
    {"{\"bucket\":\"b\",\"cache\":\"x\"}", NULL, "absolute"},
    {"{\"bucket\":\"b\",\"secret_key\":\"x\"}", NULL, "secrets"},
    {"{\"bucket\":\"b\",\"profile\":\"x\\n\"}", NULL, "control"},
    {"{\"bucket\":\"b\",\"uploads\":\"0\"}", NULL, "uploads"},
};

static void test_definitions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(definitions) / sizeof(*definitions); i++) {
		json_t *given = json_loads(definitions[i].given, 0, NULL);
		AUTO_BUF struct buf why = BUF_EMPTY;
		struct definition d, again;
		int error = definition_make(&d, "v", given, "/c", &why);

		if (definitions[i].spec) {
			AUTO_FREE char *text = definition_text(&d);

			assert_int_equal(error, 0);
			assert_string_equal(d.spec, definitions[i].spec);
			assert_string_equal(d.options, definitions[i].options);
			assert_int_equal(definition_read(&again, "v", text, strlen(text), "/c"), 0);
			assert_null(again.damaged);
			assert_string_equal(again.options, d.options);
			assert_string_equal(again.created, d.created);
			definition_destroy(&again);
			assert_int_equal(definition_read(&again, "v", text, strlen(text) / 2, "/c"), 0);
			assert_non_null(again.damaged);
			assert_non_null(again.created);
			definition_destroy(&again);
		} else {
			assert_int_equal(error, -EINVAL);
			assert_non_null(strstr(buf_string(&why), definitions[i].options));
		}
		definition_destroy(&d);
		json_decref(given);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_put_and_drop, make_folder, drop_folder),
	    cmocka_unit_test_setup_teardown(test_leftovers, make_folder, drop_folder),
	    cmocka_unit_test(test_users),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_definitions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
