/* Objects are kept in one array, sorted by their key's bytes; a listing is a walk over it. The token of a page is the
 * key it ended with (or the common prefix), in the order in which this bucket lists. */
#include "faulty_bucket.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/hex.h"
#include "cache/base/lock.h"
#include "cache/bucket/ops.h"

struct faulty_object {
	char *key;
	size_t key_bytes;
	unsigned seed;
	struct object object;
};

struct faulty_bucket {
	struct lock lock;
	struct wakeup moved;
	struct {
		struct faulty_object *objects;
		size_t count, space;
		struct faulty_knobs knobs;
		struct faulty_counts counts;
		uint64_t gate_start, gate_end; /* the same = open */
		unsigned at_gate, pages;
		bool stopped;
		int64_t clock_ns;
	} locked;
};

struct faulty_bucket *faulty_bucket_new(void)
{
	struct faulty_bucket *f = calloc(1, sizeof(*f));

	assert(f);
	lock_init(&f->lock);
	wakeup_init(&f->moved);
	f->locked.clock_ns = 1500000000000000000;
	return f;
}

void faulty_bucket_free(struct faulty_bucket **fp)
{
	struct faulty_bucket *f = *fp;

	for (size_t i = 0; i < f->locked.count; i++)
		free(f->locked.objects[i].key);
	free(f->locked.objects);
	wakeup_destroy(&f->moved);
	lock_destroy(&f->lock);
	free(f);
	*fp = NULL;
}

/* -- objects -- */

static int compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);

	return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

/* The first object at or after the key. */
static size_t place(struct faulty_bucket *f, const char *key, size_t bytes, bool *found)
{
	size_t low = 0, high = f->locked.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct faulty_object *o = &f->locked.objects[middle];
		if (compare(o->key, o->key_bytes, key, bytes) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < f->locked.count && compare(f->locked.objects[low].key,
						  f->locked.objects[low].key_bytes, key, bytes) == 0;
	return low;
}

static struct faulty_object *find(struct faulty_bucket *f, const char *key)
{
	bool found;
	size_t at = place(f, key, strlen(key), &found);

	return found ? &f->locked.objects[at] : NULL;
}

static struct faulty_object *make(struct faulty_bucket *f, const char *key, size_t bytes)
{
	bool found;
	size_t at = place(f, key, bytes, &found);

	if (!found) {
		if (f->locked.count == f->locked.space) {
			f->locked.space = f->locked.space ? 2 * f->locked.space : 64;
			f->locked.objects = reallocarray(f->locked.objects, f->locked.space,
							 sizeof(*f->locked.objects));
			assert(f->locked.objects);
		}
		struct faulty_object *o = f->locked.objects + at;
		memmove(o + 1, o, (f->locked.count - at) * sizeof(*o));
		f->locked.count++;
		memset(o, 0, sizeof(*o));
		o->key = calloc(1, bytes + 1);
		assert(o->key);
		memcpy(o->key, key, bytes);
		o->key_bytes = bytes;
	}
	f->locked.objects[at].object.mtime_ns = f->locked.clock_ns += 1000000000;
	return &f->locked.objects[at];
}

void faulty_put(struct faulty_bucket *f, const char *key, uint64_t size, unsigned seed, const char *etag)
{
	lock_take(&f->lock);
	struct faulty_object *o = make(f, key, strlen(key));
	o->seed = seed;
	o->object.size_bytes = size;
	if (etag)
		snprintf(o->object.etag, sizeof(o->object.etag), "%s", etag);
	else
		snprintf(o->object.etag, sizeof(o->object.etag), "e%u-%llu", seed, (unsigned long long)size);
	lock_drop(&f->lock);
}

void faulty_put_raw(struct faulty_bucket *f, const char *key, size_t key_bytes)
{
	lock_take(&f->lock);
	struct faulty_object *o = make(f, key, key_bytes);
	strcpy(o->object.etag, "raw");
	lock_drop(&f->lock);
}

void faulty_attrs(struct faulty_bucket *f, const char *key, const struct object_attrs *attrs)
{
	lock_take(&f->lock);
	find(f, key)->object.attrs = *attrs;
	lock_drop(&f->lock);
}

void faulty_remove(struct faulty_bucket *f, const char *key)
{
	lock_take(&f->lock);
	struct faulty_object *o = find(f, key), *end = f->locked.objects + f->locked.count;
	free(o->key);
	memmove(o, o + 1, (size_t)(end - o - 1) * sizeof(*o));
	f->locked.count--;
	lock_drop(&f->lock);
}

void faulty_set(struct faulty_bucket *f, const struct faulty_knobs *knobs)
{
	lock_take(&f->lock);
	f->locked.knobs = *knobs;
	lock_drop(&f->lock);
}

struct faulty_counts faulty_counts(struct faulty_bucket *f)
{
	lock_take(&f->lock);
	struct faulty_counts counts = f->locked.counts;
	lock_drop(&f->lock);
	return counts;
}

/* -- the gate -- */

void faulty_gate(struct faulty_bucket *f, uint64_t start, uint64_t end)
{
	lock_take(&f->lock);
	f->locked.gate_start = start;
	f->locked.gate_end = end;
	wakeup_all(&f->moved);
	lock_drop(&f->lock);
}

void faulty_gate_open(struct faulty_bucket *f)
{
	faulty_gate(f, 0, 0);
}

unsigned faulty_wait_at_gate(struct faulty_bucket *f, unsigned count)
{
	int64_t deadline_ms = clock_ms() + 5000;

	lock_take(&f->lock);
	while (f->locked.at_gate < count && wakeup_wait_until(&f->moved, &f->lock, deadline_ms))
		;
	unsigned at_gate = f->locked.at_gate;
	lock_drop(&f->lock);
	return at_gate;
}

static bool is_shut(const struct faulty_bucket *f, uint64_t offset)
{
	return offset >= f->locked.gate_start && offset < f->locked.gate_end && !f->locked.stopped;
}

static int pass_gate(struct faulty_bucket *f, uint64_t offset)
{
	lock_take(&f->lock);
	if (is_shut(f, offset)) {
		f->locked.at_gate++;
		wakeup_all(&f->moved);
		while (is_shut(f, offset))
			wakeup_wait(&f->moved, &f->lock);
		f->locked.at_gate--;
	}
	bool stopped = f->locked.stopped;
	lock_drop(&f->lock);
	return stopped ? fault_set(-ECANCELED, false, "stopped") : 0;
}

static void sleep_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	if (ms)
		nanosleep(&t, NULL);
}

/* -- reading -- */

struct answer {
	struct faulty_knobs knobs;
	struct faulty_object object;
	uint64_t at, end;
	bool fails;
};

static int look_up(struct faulty_bucket *f, const struct get_request *request, struct answer *a)
{
	lock_take(&f->lock);
	struct faulty_object *o = find(f, request->key);
	f->locked.counts.gets++;
	a->knobs = f->locked.knobs;
	a->fails = f->locked.knobs.fail_gets > 0;
	if (a->fails)
		f->locked.knobs.fail_gets--;
	if (o)
		a->object = *o;
	bool stopped = f->locked.stopped;
	lock_drop(&f->lock);
	if (stopped)
		return fault_set(-ECANCELED, false, "stopped");
	if (a->fails && !a->knobs.fail_after)
		return fault_set(a->knobs.fail_error, false, "told to fail");
	if (!o)
		return fault_set(-ENOENT, false, "no such key");
	if (request->etag && request->etag[0] && !a->knobs.no_if_match &&
	    strcmp(request->etag, a->object.object.etag) != 0)
		return fault_set(-ESTALE, false, "precondition failed");
	uint64_t size = a->object.object.size_bytes;
	if (request->offset > size || (request->offset == size && size))
		return fault_set(-EINVAL, false, "range not satisfiable");
	a->at = request->offset;
	a->end = request->length && request->length < size - a->at ? a->at + request->length : size;
	a->end -= a->knobs.short_by < a->end - a->at ? a->knobs.short_by : a->end - a->at;
	return 0;
}

static int bring(struct faulty_bucket *f, const struct get_request *request, struct answer *a)
{
	uint8_t bytes[16384];
	size_t most = a->knobs.take_bytes ? a->knobs.take_bytes : sizeof(bytes);
	uint64_t fail_at = a->fails ? a->at + (uint64_t)a->knobs.fail_after : UINT64_MAX;

	while (a->at < a->end) {
		size_t length = a->end - a->at < most ? (size_t)(a->end - a->at) : most;
		if (a->at + length > fail_at)
			return fault_set(a->knobs.fail_error, false, "told to fail in between");
		int r = pass_gate(f, a->at);
		if (r)
			return r;
		for (size_t i = 0; i < length; i++)
			bytes[i] = faulty_byte(a->object.seed, a->at + i);
		r = request->sink->take(request->sink, a->at, bytes, length);
		if (r)
			return r;
		a->at += length;
		lock_take(&f->lock);
		f->locked.counts.bytes += length;
		lock_drop(&f->lock);
	}
	return 0;
}

static int get(void *self, const struct get_request *request)
{
	struct faulty_bucket *f = self;
	struct answer a = { .at = 0 };
	int r = look_up(f, request, &a);

	if (a.knobs.on_get)
		a.knobs.on_get(a.knobs.arg, request->key, request->offset);
	sleep_ms(a.knobs.delay_ms);
	if (r)
		return r;
	a.object.object.size_bytes += a.knobs.size_lie;
	r = request->sink->begin(request->sink, &a.object.object);
	return r ? r : bring(f, request, &a);
}

static int head(void *self, const char *key, struct object *out)
{
	struct faulty_bucket *f = self;

	lock_take(&f->lock);
	struct faulty_object *o = find(f, key);
	f->locked.counts.heads++;
	if (o)
		*out = o->object;
	lock_drop(&f->lock);
	return o ? 0 : fault_set(-ENOENT, false, "no such key");
}

/* -- listing -- */

/* Where the next object stands in the order of this bucket. */
static size_t nth(const struct faulty_bucket *f, size_t i)
{
	size_t count = f->locked.count, step = 7;

	if (!f->locked.knobs.unsorted)
		return i;
	while (count % step == 0)
		step += 2;
	return i * step % count;
}

enum { KEY_ROOM = 1280 };

static void add(struct list_page *page, const char *key, size_t bytes, bool folder,
		const struct object *object)
{
	struct list_entry *e = &page->entries[page->count];
	char *copy = (char *)page->memory + page->count++ * KEY_ROOM;

	assert(bytes < KEY_ROOM);
	memcpy(copy, key, bytes);
	copy[bytes] = '\0';
	memset(e, 0, sizeof(*e));
	e->key = copy;
	e->key_bytes = bytes;
	e->folder = folder;
	if (object)
		e->object = *object;
	e->object.attrs.valid = false;
}

static size_t page_length(struct faulty_bucket *f, unsigned asked)
{
	size_t most = f->locked.knobs.page_max ? f->locked.knobs.page_max : 1000;

	if (asked && asked < most)
		most = asked;
	f->locked.pages++;
	return f->locked.knobs.ragged ? most * (f->locked.pages % 4) / 3 : most;
}

struct walk {
	const struct list_request *request;
	struct list_page *page;
	size_t most;
};

/* The folder an object stands for in a listing with delimiter: bytes of it, or 0. */
static size_t folder_of(const struct walk *w, const struct faulty_object *o)
{
	size_t prefix = strlen(w->request->prefix);
	const char *slash = w->request->delimiter ? memchr(o->key + prefix, '/', o->key_bytes - prefix) : NULL;

	return slash ? (size_t)(slash + 1 - o->key) : 0;
}

static bool listed_already(const struct list_page *page, const char *key, size_t bytes)
{
	for (size_t i = page->count; i-- > 0;)
		if (page->entries[i].key_bytes == bytes && !memcmp(page->entries[i].key, key, bytes))
			return true;
	return false;
}

/* False: the page is full before this object. */
static bool walk_one(struct walk *w, const struct faulty_object *o)
{
	size_t prefix = strlen(w->request->prefix), folder;

	if (o->key_bytes < prefix || memcmp(o->key, w->request->prefix, prefix) != 0)
		return true;
	if (!w->request->token && w->request->after &&
	    compare(o->key, o->key_bytes, w->request->after, strlen(w->request->after)) <= 0)
		return true;
	folder = folder_of(w, o);
	if (folder && listed_already(w->page, o->key, folder))
		return true;
	if (w->page->count >= w->most)
		return false;
	add(w->page, o->key, folder ? folder : o->key_bytes, folder, folder ? NULL : &o->object);
	return true;
}

/* A token is the number of its page, so that no two are the same, and the next object's key in hex, or its number
 * where there is no order. */
static size_t token_place(struct faulty_bucket *f, const char *token)
{
	const char *text = strchr(token, ':') + 1;
	char key[KEY_ROOM];
	size_t bytes = strlen(text) / 2;
	bool found;

	if (f->locked.knobs.unsorted)
		return strtoul(text, NULL, 10);
	int r = hex_decode(key, text, bytes);
	assert(bytes < sizeof(key) && r == 0);
	return place(f, key, bytes, &found);
}

static char *token_make(const struct faulty_bucket *f, size_t i)
{
	const struct faulty_object *o = &f->locked.objects[i];
	char *token = calloc(1, 2 * KEY_ROOM + 32);

	assert(token);
	int start = sprintf(token, "%u:", f->locked.pages);
	if (f->locked.knobs.unsorted)
		sprintf(token + start, "%zu", i);
	else
		hex_encode(token + start, o->key, o->key_bytes);
	return token;
}

static void list_page(struct faulty_bucket *f, const struct list_request *request, struct list_page *out)
{
	struct walk w = { request, out, page_length(f, request->page_max) };
	bool found;
	size_t i = 0;

	out->entries = calloc(w.most + 1, sizeof(*out->entries));
	out->memory = malloc((w.most + 1) * KEY_ROOM);
	assert(out->entries && out->memory);
	if (request->token)
		i = token_place(f, request->token);
	else if (!f->locked.knobs.unsorted)
		i = place(f, request->prefix, strlen(request->prefix), &found);
	while (i < f->locked.count && walk_one(&w, &f->locked.objects[nth(f, i)]))
		i++;
	out->token = i < f->locked.count ? token_make(f, i) : NULL;
}

static int list(void *self, const struct list_request *request, struct list_page *out)
{
	struct faulty_bucket *f = self;

	memset(out, 0, sizeof(*out));
	lock_take(&f->lock);
	struct faulty_knobs knobs = f->locked.knobs;
	f->locked.counts.lists++;
	lock_drop(&f->lock);
	if (knobs.on_list)
		knobs.on_list(knobs.arg, request->prefix, false);
	sleep_ms(knobs.delay_ms);

	lock_take(&f->lock);
	bool fails = f->locked.knobs.fail_lists > 0, stopped = f->locked.stopped;
	f->locked.knobs.fail_lists -= fails;
	if (!fails && !stopped)
		list_page(f, request, out);
	lock_drop(&f->lock);
	if (stopped)
		return fault_set(-ECANCELED, false, "stopped");
	if (fails)
		return fault_set(-EHOSTDOWN, false, "told to fail");
	if (knobs.on_list)
		knobs.on_list(knobs.arg, request->prefix, true);
	return 0;
}

/* -- behind the door -- */

static int start(void *self)
{
	(void)self;
	return 0;
}

static void stop(void *self)
{
	struct faulty_bucket *f = self;

	lock_take(&f->lock);
	f->locked.stopped = true;
	wakeup_all(&f->moved);
	lock_drop(&f->lock);
}

static void close_nothing(void *self)
{
	(void)self;
}

static const struct bucket_ops faulty_ops = {
	.start = start,
	.stop = stop,
	.close = close_nothing,
	.probe = start,
	.get = get,
	.head = head,
	.list = list,
};

struct bucket *faulty_bucket_open(struct faulty_bucket *f)
{
	struct bucket_config config = { .spec = "file:///faulty", .io_timeout_ms = 3000, .connections_max = 16 };
	struct bucket_impl impl = { &faulty_ops, f, strdup("faulty"), 1024, NULL };
	struct bucket *bucket;

	f->locked.stopped = false;
	int r = bucket_open_over(&config, &impl, &bucket);
	assert(r == 0);
	r = bucket_start(bucket);
	assert(r == 0);
	return bucket;
}
