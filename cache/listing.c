/* Reading directories.
 *
 * A cookie is a number that belongs to a name for as long as the name exists (names.h). To go on after a cookie, its name
 * is needed: the listing remembers the names that it gave out lately; else the node that has the cookie as
 * its ino tells it; else the directory is searched for it; else (a name that is gone, given out long ago) it starts over,
 * which may show a name twice but never leaves one out, and ends, since the cookies that it gives then can be found.
 *
 * Entries are read from the index some at a time, in a short look, and given out after it: a visit may take locks, and a
 * listing must work where nothing can be written.
 *
 * Outside, cookies are larger by COOKIE_SHIFT: the numbers up to 2 mean the start, "." and "..". */
#include <errno.h>
#include <string.h>
#include "cache/base/lock.h"
#include "tree_internal.h"

enum { GIVEN_MAX = 4096, COOKIE_SHIFT = 2, SLOTS = 64 };

struct given {
	uint64_t cookie;
	struct names_position position;
};

/* An entry between the index and the visit. */
struct slot {
	struct name name;
	struct stat stat;
};

struct listing {
	struct cache *cache;
	uint64_t ino;
	struct given *given; /* a ring */
	size_t given_count, given_space, given_next;
	/* of one listing_read */
	struct txn *txn;
	listing_visit *visit;
	void *arg;
	struct slot *slots;
	size_t slots_count;
};

int listing_open(struct cache *cache, uint64_t ino, struct listing **out)
{
	int r = tree_know(cache, ino);
	if (r)
		return r;
	struct listing *l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->cache = cache;
	l->ino = ino;
	*out = l;
	return 0;
}

void listing_close(struct listing **listing)
{
	free((*listing)->given);
	free(*listing);
	*listing = NULL;
}

static void remember(struct listing *l, const struct name *name)
{
	if (l->given_count == l->given_space && l->given_space < GIVEN_MAX) {
		size_t space = l->given_space ? 4 * l->given_space : 16;
		struct given *more = realloc(l->given, space * sizeof *more);
		if (more) {
			l->given = more;
			l->given_space = space;
			l->given_next = l->given_count;
		}
	}
	if (!l->given_space)
		return;
	struct given *g = &l->given[l->given_next];
	g->cookie = name->cookie;
	strcpy(g->position.text, name->text);
	g->position.folder = name->folder;
	l->given_next = (l->given_next + 1) % l->given_space;
	if (l->given_count < l->given_space)
		l->given_count++;
}

struct search {
	uint64_t cookie;
	struct names_position *out;
	bool found;
};

static int search_name(void *arg, const struct name *name)
{
	struct search *s = arg;
	s->found = name->cookie == s->cookie;
	if (!s->found)
		return 0;
	strcpy(s->out->text, name->text);
	s->out->folder = name->folder;
	return 1;
}

/* 0, or -ENOENT: nobody knows what this cookie stood for. */
static int position_of(struct listing *l, uint64_t cookie, struct names_position *out)
{
	struct node_record record;
	struct search search = {cookie, out, false};
	struct name name;
	for (size_t i = 0; i < l->given_count; i++)
		if (l->given[i].cookie == cookie) {
			*out = l->given[i].position;
			return 0;
		}
	int r = nodes_get(l->txn, cookie, &record);
	if (!r && record.parent == l->ino && !(record.flags & NODE_ORPHAN))
		r = names_get(l->txn, l->ino, record.name, &name);
	else if (!r)
		r = -ENOENT;
	if (!r && name.cookie == cookie) {
		strcpy(out->text, name.text);
		out->folder = name.folder;
		return 0;
	}
	if (r && r != -ENOENT)
		return r;
	r = names_each(l->txn, l->ino, NULL, search_name, &search);
	return r < 0 ? r : search.found ? 0 : -ENOENT;
}

static int take_name(void *arg, const struct name *name)
{
	struct listing *l = arg;
	struct node_record record;
	int r = nodes_get(l->txn, name->ino, &record);
	if (r)
		return r;
	struct slot *slot = &l->slots[l->slots_count++];
	slot->name = *name;
	tree_stat_of(&record, &slot->stat);
	return l->slots_count == SLOTS;
}

/* The next entries after `after`, or after the cookie where that is NULL. */
static int take_slots(struct listing *l, uint64_t cookie, const struct names_position *after)
{
	struct names_position position;
	int r = txn_begin_look(l->cache->flow.index, &l->txn);
	if (r)
		return r;
	l->slots_count = 0;
	if (!after && cookie) {
		r = position_of(l, cookie - COOKIE_SHIFT, &position);
		after = r ? NULL : &position;
	}
	if (!r || r == -ENOENT)
		r = names_each(l->txn, l->ino, after, take_name, l);
	txn_abort(&l->txn);
	return r < 0 ? r : 0;
}

static int give(struct listing *l, struct slot *slot)
{
	struct listing_entry entry = {
	    .name = slot->name.text, .cookie = slot->name.cookie + COOKIE_SHIFT, .stat = slot->stat};
	struct node *node =
	    S_ISREG(slot->stat.st_mode) ? node_find(l->cache->flow.nodes, slot->name.ino) : NULL;
	int r = 0;
	if (node) { /* it may be written just now */
		r = tree_stat(l->cache, slot->name.ino, &entry.stat);
		node_put(&node);
	}
	if (r)
		return r == -ENOENT ? 0 : r;
	r = l->visit(l->arg, &entry);
	if (!r)
		remember(l, &slot->name);
	return r;
}

static int give_all(struct listing *l, uint64_t cookie)
{
	struct names_position last;
	int r = take_slots(l, cookie, NULL);
	while (!r && l->slots_count) {
		for (size_t i = 0; !r && i < l->slots_count; i++)
			r = give(l, &l->slots[i]);
		if (r || l->slots_count < SLOTS)
			break;
		strcpy(last.text, l->slots[SLOTS - 1].name.text);
		last.folder = l->slots[SLOTS - 1].name.folder;
		r = take_slots(l, 0, &last);
	}
	return r < 0 ? r : 0;
}

int listing_read(struct listing *l, uint64_t cookie, listing_visit *visit, void *arg)
{
	l->slots = malloc(SLOTS * sizeof *l->slots);
	if (!l->slots)
		return -ENOMEM;
	l->visit = visit;
	l->arg = arg;
	int r = give_all(l, cookie);
	free(l->slots);
	l->slots = NULL;
	return r;
}
