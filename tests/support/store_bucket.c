/* Objects and uploads are short lists: tests have few of them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/base/clock.h"
#include "store_internal.h"

struct store *store_new(uint64_t seed)
{
	struct store *s = calloc(1, sizeof(*s));
	assert(s);
	lock_init(&s->lock);
	wakeup_init(&s->moved);
	s->locked.random = seed | 1;
	return s;
}

static void free_stored(struct stored *o)
{
	for (unsigned i = 0; i < o->parts_count; i++)
		buf_destroy(&o->parts[i].bytes);
	free(o->parts);
	buf_destroy(&o->bytes);
	free(o);
}

static void free_list(struct stored *list)
{
	while (list) {
		struct stored *next = list->next;
		free_stored(list);
		list = next;
	}
}

void store_free(struct store **sp)
{
	struct store *s = *sp;
	*sp = NULL;
	free_list(s->locked.objects);
	free_list(s->locked.uploads);
	buf_destroy(&s->locked.story);
	wakeup_destroy(&s->moved);
	lock_destroy(&s->lock);
	free(s);
}

static struct stored *clone_list(const struct stored *list)
{
	struct stored *first = NULL, **end = &first;
	for (; list; list = list->next) {
		struct stored *o = calloc(1, sizeof(*o));
		assert(o);
		*o = *list;
		o->next = NULL;
		o->bytes = (struct buf)BUF_EMPTY;
		buf_append(&o->bytes, list->bytes.data, list->bytes.length);
		o->parts = calloc(list->parts_count + 1, sizeof(*o->parts));
		assert(o->parts);
		for (unsigned i = 0; i < list->parts_count; i++) {
			memcpy(o->parts[i].etag, list->parts[i].etag, ETAG_BYTES);
			buf_append(&o->parts[i].bytes, list->parts[i].bytes.data,
				   list->parts[i].bytes.length);
		}
		*end = o;
		end = &o->next;
	}
	return first;
}

struct store *store_clone(struct store *s)
{
	struct store *copy = store_new(7);
	lock_take(&s->lock);
	copy->locked.objects = clone_list(s->locked.objects);
	copy->locked.uploads = clone_list(s->locked.uploads);
	copy->locked.serial = s->locked.serial + 1000000;
	lock_drop(&s->lock);
	return copy;
}

void store_set(struct store *s, const struct store_knobs *knobs)
{
	lock_take(&s->lock);
	s->locked.knobs = *knobs;
	lock_drop(&s->lock);
}

/* -- things -- */

struct stored **store_find(struct stored **list, const char *key, const char *id)
{
	while (*list && (strcmp((*list)->key, key) || strcmp((*list)->id, id)))
		list = &(*list)->next;
	return list;
}

struct stored *store_make(struct stored **list, const char *key, const char *id)
{
	struct stored **at = store_find(list, key, id);
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		assert(*at);
		snprintf((*at)->key, sizeof((*at)->key), "%s", key);
		snprintf((*at)->id, sizeof((*at)->id), "%s", id);
	}
	return *at;
}

void store_drop(struct stored **list, const char *key, const char *id)
{
	struct stored **at = store_find(list, key, id), *o = *at;
	if (!o)
		return;
	*at = o->next;
	free_stored(o);
}

void store_etag(const void *bytes, size_t length, char etag[ETAG_BYTES])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	snprintf(etag, ETAG_BYTES, "%016llx%016llx", (unsigned long long)hash, (unsigned long long)length);
}

struct stored *store_make_object(struct store *s, const char *key, const struct buf *bytes,
				 const struct object_attrs *attrs)
{
	struct stored *o = store_make(&s->locked.objects, key, "");
	buf_clear(&o->bytes);
	buf_append(&o->bytes, bytes->data, bytes->length);
	o->object = (struct object){.size_bytes = bytes->length, .mtime_ns = clock_wall_ns()};
	if (attrs)
		o->object.attrs = *attrs;
	store_etag(bytes->data, bytes->length, o->object.etag);
	return o;
}

void store_put(struct store *s, const char *key, const void *bytes, size_t length,
	       const struct object_attrs *attrs, char etag[ETAG_BYTES])
{
	struct buf copy AUTO_BUF = BUF_EMPTY;
	buf_append(&copy, bytes, length);
	lock_take(&s->lock);
	const struct stored *o = store_make_object(s, key, &copy, attrs);
	if (etag)
		memcpy(etag, o->object.etag, ETAG_BYTES);
	lock_drop(&s->lock);
}

void store_remove(struct store *s, const char *key)
{
	lock_take(&s->lock);
	store_drop(&s->locked.objects, key, "");
	lock_drop(&s->lock);
}

bool store_get(struct store *s, const char *key, struct buf *bytes, struct object *object)
{
	lock_take(&s->lock);
	const struct stored *o = *store_find(&s->locked.objects, key, "");
	if (o && bytes) {
		buf_clear(bytes);
		buf_append(bytes, o->bytes.data, o->bytes.length);
	}
	if (o && object)
		*object = o->object;
	lock_drop(&s->lock);
	return o;
}

static size_t length_of(struct store *s, struct stored *const *list)
{
	size_t count = 0;
	lock_take(&s->lock);
	for (const struct stored *o = *list; o; o = o->next)
		count++;
	lock_drop(&s->lock);
	return count;
}

size_t store_objects(struct store *s)
{
	return length_of(s, &s->locked.objects);
}

void store_upload(struct store *s, const char *key, int64_t initiated_ns)
{
	char id[32];
	lock_take(&s->lock);
	snprintf(id, sizeof(id), "foreign-%llu", (unsigned long long)++s->locked.serial);
	store_make(&s->locked.uploads, key, id)->object.mtime_ns = initiated_ns;
	lock_drop(&s->lock);
}

size_t store_uploads(struct store *s)
{
	return length_of(s, &s->locked.uploads);
}

void store_each(struct store *s, store_visit *visit, void *arg)
{
	lock_take(&s->lock);
	for (const struct stored *o = s->locked.objects; o; o = o->next)
		visit(arg, o->key, o->bytes.data, o->bytes.length);
	lock_drop(&s->lock);
}

/* -- the story -- */

unsigned store_calls(struct store *s, enum bucket_op op)
{
	lock_take(&s->lock);
	unsigned calls = s->locked.calls[op];
	lock_drop(&s->lock);
	return calls;
}

unsigned store_busiest(struct store *s)
{
	lock_take(&s->lock);
	unsigned busiest = s->locked.busiest;
	lock_drop(&s->lock);
	return busiest;
}

unsigned store_overlaps(struct store *s)
{
	lock_take(&s->lock);
	unsigned overlaps = s->locked.overlaps;
	lock_drop(&s->lock);
	return overlaps;
}

void store_story(struct store *s, struct buf *out)
{
	lock_take(&s->lock);
	buf_clear(out);
	buf_append(out, s->locked.story.data, s->locked.story.length);
	buf_clear(&s->locked.story);
	lock_drop(&s->lock);
}

/* -- the gate -- */

void store_gate(struct store *s, const char *key)
{
	lock_take(&s->lock);
	s->locked.gated = true;
	snprintf(s->locked.gate_key, sizeof(s->locked.gate_key), "%s", key ? key : "");
	lock_drop(&s->lock);
}

void store_gate_open(struct store *s)
{
	lock_take(&s->lock);
	s->locked.gated = false;
	wakeup_all(&s->moved);
	lock_drop(&s->lock);
}

unsigned store_at_gate(struct store *s, unsigned count)
{
	int64_t deadline_ms = clock_ms() + 10000;
	lock_take(&s->lock);
	while (s->locked.at_gate < count && wakeup_wait_until(&s->moved, &s->lock, deadline_ms))
		;
	count = s->locked.at_gate;
	lock_drop(&s->lock);
	return count;
}

struct bucket *store_open(struct store *s)
{
	struct bucket_config config = {.spec = "file:///store", .io_timeout_ms = 3000, .connections_max = 16};
	struct bucket_impl impl = {&store_ops, s, strdup("store"), KEY_BYTES_MAX, NULL};
	struct bucket *bucket;
	if (bucket_open_over(&config, &impl, &bucket) || bucket_start(bucket))
		abort();
	return bucket;
}
