#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "cache/base/list.h"
#include "cache/base/table.h"

enum { ELEMENTS = 2000 };

struct element {
	int value;
	struct table_link link;
	bool in;
};

static struct element elements[ELEMENTS];

static void check_all(const struct table *t)
{
	size_t count = 0;

	for (int i = 0; i < ELEMENTS; i++) {
		struct table_link *link = table_find(t, elements[i].link.id);
		assert_int_equal(link != NULL, elements[i].in);
		if (link)
			assert_int_equal(container_of(link, struct element, link)->value, i);
		count += elements[i].in;
	}
	assert_int_equal(t->count, count);
}

/* Sequential ids, ids that agree in their low bits, and the ends of the scale. */
static uint64_t id_of(int i, int kind)
{
	if (kind == 0)
		return (uint64_t)i;
	return kind == 1 ? (uint64_t)i << 44 : UINT64_MAX - (uint64_t)i * 64;
}

static void test_model(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct table t;
		uint64_t seed = 7;
		assert_int_equal(table_init(&t), 0);
		for (int i = 0; i < ELEMENTS; i++)
			elements[i] = (struct element){.value = i, .link.id = id_of(i, kind)};
		for (int step = 0; step < 8 * ELEMENTS; step++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			struct element *e = &elements[(seed >> 33) % ELEMENTS];
			if (e->in)
				table_remove(&t, &e->link);
			else
				table_insert(&t, &e->link);
			e->in = !e->in;
			if (step % 1000 == 0)
				check_all(&t);
		}
		check_all(&t);
		assert_true(t.slots_count >= 512); /* it has grown */
		table_destroy(&t);
	}
}

static void test_spread(void **state)
{
	(void)state;
	struct table t;
	size_t longest = 0;

	assert_int_equal(table_init(&t), 0);
	for (int i = 0; i < ELEMENTS; i++) {
		elements[i].link.id = (uint64_t)i << 20;
		table_insert(&t, &elements[i].link);
	}
	for (size_t i = 0; i < t.slots_count; i++) {
		size_t length = 0;
		for (struct table_link *link = t.slots[i]; link; link = link->next)
			length++;
		longest = length > longest ? length : longest;
	}
	assert_true(longest <= 10);
	table_destroy(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
