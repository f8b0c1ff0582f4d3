#include "entries.h"

#include <stdlib.h>
#include <string.h>
#include "log.h"

struct entry *entries_find(const struct entries *e, uint32_t dir, const char *name)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->items[i].dir == dir && !strcmp(e->items[i].name, name))
			return &e->items[i];
	return NULL;
}

static void grow(struct entries *e, size_t count)
{
	if (count <= e->space)
		return;
	e->space = count * 2;
	e->items = reallocarray(e->items, e->space, sizeof(*e->items));
	if (!e->items)
		broken("no memory");
}

void entries_set(struct entries *e, uint32_t dir, const char *name, uint32_t node, bool is_dir)
{
	struct entry *entry = entries_find(e, dir, name);
	if (!entry) {
		if (strlen(name) >= ENTRY_NAME_BYTES)
			broken("a name is too long: %s", name);
		grow(e, e->count + 1);
		entry = &e->items[e->count++];
		entry->dir = dir;
		strcpy(entry->name, name);
	}
	entry->node = node;
	entry->is_dir = is_dir;
}

void entries_remove(struct entries *e, uint32_t dir, const char *name)
{
	struct entry *entry = entries_find(e, dir, name);
	if (entry)
		*entry = e->items[--e->count];
}

void entries_copy(struct entries *to, const struct entries *from)
{
	grow(to, from->count);
	if (from->count)
		memcpy(to->items, from->items, from->count * sizeof(*from->items));
	to->count = from->count;
}

void entries_destroy(struct entries *e)
{
	free(e->items);
	*e = (struct entries){0};
}
