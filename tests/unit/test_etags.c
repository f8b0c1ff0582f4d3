/* What is learned of a server's ETags, and from what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "cache/bucket/etags.h"

/* What happens, a letter each: + an ETag fits; 1 … 9 the object of that number does not, and whether it is refused then;
 * r an own PUT refutes it. After it: are ETags in use? */
static const struct {
	const char *story;
	bool verify, refused, used;
} stories[] = {
	{"", true, false, true},
	{"", false, false, false},
	{"1", true, true, true},
	{"11111111", true, true, true}, /* one object proves nothing */
	{"12", true, true, true},
	{"123", true, false, false},
	{"12121213", true, false, false},
	{"1234", true, false, false},
	{"+123456789", true, true, true},
	{"12+3456789", true, true, true},
	{"+1r", true, true, false},
	{"+r1", true, false, false},
	{"r", true, false, false},
	{"r+", true, false, false}, /* what is refuted stays so */
	{"1", false, false, false},
};

static void learning(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct etags e;
		bool refused = false;

		etags_init(&e, stories[i].verify);
		for (const char *p = stories[i].story; *p; p++) {
			struct sum said = {.kind = SUM_MD5, .bytes = {(unsigned char)*p}};
			if (*p == '+')
				etags_fit(&e);
			else if (*p == 'r')
				etags_refuted(&e, "a/key");
			else
				refused = etags_doubt(&e, &said);
		}
		print_message("\"%s\"\n", stories[i].story);
		assert_int_equal(refused, stories[i].refused);
		assert_int_equal(etags_in_use(&e), stories[i].used);
		etags_destroy(&e);
	}
}

static void parts(void **state)
{
	const struct sum said = {.kind = SUM_MD5_PARTS, .parts = 2};
	struct etags e;

	(void)state;
	etags_init(&e, true);
	etags_fit(&e); /* says nothing of parts */
	assert_true(etags_parts_in_use(&e));
	assert_false(etags_doubt_parts(&e, &said)); /* its parts may differ */
	atomic_store(&e.parts_known, true);
	assert_true(etags_doubt_parts(&e, &said));
	atomic_store(&e.parts_untold, true);
	assert_false(etags_parts_in_use(&e));
	assert_true(etags_in_use(&e));
	etags_refuted(&e, "a/key");
	assert_false(etags_doubt_parts(&e, &said));
	etags_destroy(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(learning), cmocka_unit_test(parts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
