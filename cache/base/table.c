/* Chains off a power-of-two array that doubles when the elements outnumber the slots. Ids are often
 * sequential (inos), callers' choice (hashes) or hostile; a full mix keeps the low bits even. */
#include "table.h"

#include <assert.h>
#include <errno.h>

enum { SLOTS_MIN = 64 };

static uint64_t mix(uint64_t id)
{
	id ^= id >> 30;
	id *= 0xbf58476d1ce4e5b9u;
	id ^= id >> 27;
	id *= 0x94d049bb133111ebu;
	return id ^ id >> 31;
}

static struct table_link **slot_of(const struct table *t, uint64_t id)
{
	return &t->slots[mix(id) & (t->slots_count - 1)];
}

int table_init(struct table *t)
{
	*t = (struct table){.slots_count = SLOTS_MIN};
	t->slots = calloc(SLOTS_MIN, sizeof(*t->slots));
	return t->slots ? 0 : -ENOMEM;
}

void table_destroy(struct table *t)
{
	free(t->slots);
	*t = (struct table){0};
}

struct table_link *table_find(const struct table *t, uint64_t id)
{
	struct table_link *link = *slot_of(t, id);

	while (link && link->id != id)
		link = link->next;
	return link;
}

static void grow(struct table *t)
{
	struct table old = *t;
	struct table_link **slots = calloc(old.slots_count * 2, sizeof(*slots));

	if (!slots)
		return;
	t->slots = slots;
	t->slots_count = old.slots_count * 2;
	for (size_t i = 0; i < old.slots_count; i++) {
		for (struct table_link *link = old.slots[i], *next; link; link = next) {
			struct table_link **slot = slot_of(t, link->id);
			next = link->next;
			link->next = *slot;
			*slot = link;
		}
	}
	free(old.slots);
}

void table_insert(struct table *t, struct table_link *link)
{
	assert(!table_find(t, link->id));
	if (t->count >= t->slots_count)
		grow(t);

	struct table_link **slot = slot_of(t, link->id);
	link->next = *slot;
	*slot = link;
	t->count++;
}

void table_remove(struct table *t, struct table_link *link)
{
	struct table_link **at = slot_of(t, link->id);

	while (*at != link) {
		assert(*at); /* else it was never in the table, or its id was changed */
		at = &(*at)->next;
	}
	*at = link->next;
	link->next = NULL;
	t->count--;
}
