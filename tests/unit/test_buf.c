#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "cache/base/buf.h"

static void test_append(void **state)
{
	(void)state;
	AUTO_BUF struct buf b = BUF_EMPTY;

	assert_string_equal(buf_string(&b), "");
	buf_text(&b, "key");
	buf_append(&b, "=a\0b", 4);
	assert_int_equal(b.length, 7);
	assert_memory_equal(b.data, "key=a\0b", 8); /* with the NUL that does not count */
	buf_append(&b, NULL, 0);
	assert_int_equal(b.length, 7);
	buf_clear(&b);
	assert_int_equal(b.length, 0);
	assert_string_equal(buf_string(&b), "");
	buf_printf(&b, "%d %s", 42, "words");
	assert_string_equal(buf_string(&b), "42 words");
	assert_false(b.failed);
}

/* Every length around the places where it grows, byte by byte and at once. */
static void test_growth(void **state)
{
	(void)state;
	for (size_t length = 0; length < 300; length++) {
		AUTO_BUF struct buf one = BUF_EMPTY, many = BUF_EMPTY, printed = BUF_EMPTY;
		char text[301];
		memset(text, 'x', length);
		text[length] = '\0';
		buf_append(&one, text, length);
		for (size_t i = 0; i < length; i++)
			buf_append(&many, "x", 1);
		buf_printf(&printed, "%s", text);
		assert_string_equal(buf_string(&one), text);
		assert_string_equal(buf_string(&many), text);
		assert_string_equal(buf_string(&printed), text);
		assert_true(many.space > many.length || length == 0);
	}
}

static void test_steal(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;

	AUTO_FREE char *empty = buf_steal(&b);
	assert_string_equal(empty, "");
	buf_text(&b, "mine");
	AUTO_FREE char *text = buf_steal(&b);
	assert_string_equal(text, "mine");
	assert_null(b.data);
	assert_int_equal(b.length, 0);
	buf_text(&b, "again");
	assert_string_equal(buf_string(&b), "again");
	buf_destroy(&b);
	buf_destroy(&b);
}

static void test_no_memory(void **state)
{
	(void)state;
	AUTO_BUF struct buf b = BUF_EMPTY;

	buf_text(&b, "whole");
	buf_append(&b, "never read", SIZE_MAX / 2);
	assert_true(b.failed);
	buf_text(&b, " more"); /* would look whole without the piece before it */
	assert_string_equal(buf_string(&b), "whole");
	assert_null(buf_steal(&b));
	assert_false(b.failed);
	buf_append(&b, "x", SIZE_MAX);
	assert_true(b.failed);
	buf_clear(&b);
	buf_text(&b, "y");
	assert_string_equal(buf_string(&b), "y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
