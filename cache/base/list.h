/* An intrusive doubly linked list. Not thread-safe; the owner's lock guards it. */
#ifndef TOOTFS_LIST_H
#define TOOTFS_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline void list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

/* Takes the first element off, or returns NULL. */
static inline struct list *list_shift(struct list *head)
{
	struct list *l = head->next;
	if (l == head)
		return NULL;
	list_remove(l);
	return l;
}

/* Moves all of from to the end of to. */
static inline void list_splice(struct list *to, struct list *from)
{
	while (!list_empty(from)) {
		struct list *l = list_shift(from);
		list_append(to, l);
	}
}

#endif
