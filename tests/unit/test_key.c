#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "cache/base/key.h"

static const char *repeat(char c, size_t count)
{
	static char text[2048];

	memset(text, c, count);
	text[count] = '\0';
	return text;
}

static void test_name(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int expected;
	} cases[] = {
		{"a", 0},       {"a b", 0},        {"...", 0},       {".hidden", 0},  {"\xff\xfe", 0},
		{"-", 0},       {"", -EINVAL},     {".", -EINVAL},   {"..", -EINVAL}, {"a/b", -EINVAL},
		{"/", -EINVAL}, {"a/", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(name_check(cases[i].name, strlen(cases[i].name)), cases[i].expected);
	assert_int_equal(name_check("a\0b", 3), -EINVAL);
	assert_int_equal(name_check(repeat('x', 255), 255), 0);
	assert_int_equal(name_check(repeat('x', 256), 256), -ENAMETOOLONG);
	assert_int_equal(name_check("ab/", 2), 0); /* no byte past the length counts */
}

static void test_key(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		enum key_verdict expected, as_prefix;
	} cases[] = {
		{"a", KEY_GOOD, KEY_NO_SLASH},
		{"a/b.png", KEY_GOOD, KEY_NO_SLASH},
		{"cache/custom_emojis/images/000/001/original/\xc3\xa4.png", KEY_GOOD, KEY_NO_SLASH},
		{"a/.b/..c/d...", KEY_GOOD, KEY_NO_SLASH},
		{"", KEY_EMPTY, KEY_EMPTY},
		{"a/", KEY_MARKER, KEY_GOOD},
		{"a/b/", KEY_MARKER, KEY_GOOD},
		{"/", KEY_EMPTY_NAME, KEY_EMPTY_NAME},
		{"/a", KEY_EMPTY_NAME, KEY_EMPTY_NAME},
		{"a//b", KEY_EMPTY_NAME, KEY_EMPTY_NAME},
		{"a//", KEY_EMPTY_NAME, KEY_EMPTY_NAME},
		{".", KEY_DOT_NAME, KEY_DOT_NAME},
		{"..", KEY_DOT_NAME, KEY_DOT_NAME},
		{"./a", KEY_DOT_NAME, KEY_DOT_NAME},
		{"a/../b", KEY_DOT_NAME, KEY_DOT_NAME},
		{"a/..", KEY_DOT_NAME, KEY_DOT_NAME},
		{"a/./", KEY_DOT_NAME, KEY_DOT_NAME},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].key);
		assert_int_equal(key_check(cases[i].key, length), cases[i].expected);
		assert_int_equal(key_check_prefix(cases[i].key, length), cases[i].as_prefix);
	}
	assert_int_equal(key_check("a\0b", 3), KEY_HAS_NUL);
	assert_int_equal(key_check("a/b", 2), KEY_MARKER);
}

static void test_key_lengths(void **state)
{
	(void)state;
	char key[1100];

	assert_int_equal(key_check(repeat('x', 255), 255), KEY_GOOD);
	assert_int_equal(key_check(repeat('x', 256), 256), KEY_NAME_TOO_LONG);
	memset(key, 'k', sizeof(key));
	for (size_t i = 100; i < sizeof(key); i += 101)
		key[i] = '/';
	assert_int_equal(key_check(key, 1024), KEY_GOOD);
	assert_int_equal(key_check(key, 1025), KEY_TOO_LONG);
	key[1023] = '/';
	assert_int_equal(key_check_prefix(key, 1024), KEY_GOOD);
}

static void test_verdict_text(void **state)
{
	(void)state;
	for (int v = KEY_GOOD; v <= KEY_NO_SLASH; v++) {
		assert_non_null(key_verdict_text((enum key_verdict)v));
		assert_true(strlen(key_verdict_text((enum key_verdict)v)) > 3);
	}
}

static void test_percent(void **state)
{
	(void)state;
	static const struct {
		const char *in, *slash_kept, *slash_encoded;
	} cases[] = {
		{"", "", ""},
		{"azAZ09-._~", "azAZ09-._~", "azAZ09-._~"},
		{"a/b", "a/b", "a%2Fb"},
		{"a b+c", "a%20b%2Bc", "a%20b%2Bc"},
		{"\xc3\xa4\xff", "%C3%A4%FF", "%C3%A4%FF"},
		{"100%'()*!", "100%25%27%28%29%2A%21", "100%25%27%28%29%2A%21"},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].in);
		assert_int_equal(key_percent(out, cases[i].in, length, 1), strlen(cases[i].slash_kept));
		assert_string_equal(out, cases[i].slash_kept);
		assert_int_equal(key_percent(out, cases[i].in, length, 0), strlen(cases[i].slash_encoded));
		assert_string_equal(out, cases[i].slash_encoded);
		assert_int_equal(key_unpercent(out), length);
		assert_string_equal(out, cases[i].in);
	}
	assert_int_equal(key_percent(out, "\0", 1, 0), 3);
	assert_string_equal(out, "%00");
}

static void test_unpercent(void **state)
{
	(void)state;
	static const struct {
		const char *in, *expected; /* NULL = refused */
	} cases[] = {
		{"a+b", "a+b"}, {"%2f%2F", "//"}, {"%zz", NULL}, {"%", NULL},   {"a%2", NULL},
		{"%%41", NULL}, {"%4 ", NULL},    {"%-1", NULL}, {"%0x", NULL}, {"%c3%A4", "\xc3\xa4"},
	};
	char text[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(text, cases[i].in);
		long length = key_unpercent(text);
		if (!cases[i].expected) {
			assert_int_equal(length, -EINVAL);
			continue;
		}
		assert_int_equal(length, strlen(cases[i].expected));
		assert_string_equal(text, cases[i].expected);
	}
	strcpy(text, "a%00b");
	assert_int_equal(key_unpercent(text), 3);
	assert_memory_equal(text, "a\0b", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),         cmocka_unit_test(test_key),
		cmocka_unit_test(test_key_lengths),  cmocka_unit_test(test_verdict_text),
		cmocka_unit_test(test_percent),      cmocka_unit_test(test_unpercent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
