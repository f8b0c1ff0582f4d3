/* What a request runs into: the gate, a nap, a fault; its effect; a nap, and perhaps a lost answer. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "store_internal.h"

#define NO_ANALYSIS TSA(no_thread_safety_analysis) /* the lock is held from enter() to leave() */

static bool is_shut(const struct store *s, const char *key)
{
	const char *gate = s->locked.gate_key;
	return s->locked.gated && !s->locked.stopped && (!gate[0] || !strcmp(gate, key));
}

/* -- one request -- */

struct request {
	struct store *s;
	enum bucket_op op;
	const char *const *keys;
	size_t count;
	bool changes;
	bool counted, lost; /* enter's, for leave */
};

static unsigned roll(struct store *s, unsigned below)
{
	s->locked.random ^= s->locked.random << 13;
	s->locked.random ^= s->locked.random >> 7;
	s->locked.random ^= s->locked.random << 17;
	return below ? (unsigned)(s->locked.random % below) : 0;
}

NO_ANALYSIS static void nap(struct store *s)
{
	unsigned us = roll(s, s->locked.knobs.delay_us);
	struct timespec t = {us / 1000000, us % 1000000 * 1000L};
	lock_drop(&s->lock);
	if (us)
		nanosleep(&t, NULL);
	lock_take(&s->lock);
}

static void mark_busy(struct request *r)
{
	struct store *s = r->s;
	for (size_t i = 0; i < r->count; i++) {
		for (unsigned j = 0; j < s->locked.busy_count; j++)
			s->locked.overlaps += !strcmp(s->locked.busy[j], r->keys[i]);
		assert(s->locked.busy_count < BUSY_MAX);
		s->locked.busy[s->locked.busy_count++] = r->keys[i];
	}
}

static void unmark_busy(struct request *r)
{
	struct store *s = r->s;
	for (size_t i = 0; i < r->count; i++)
		for (unsigned j = 0; j < s->locked.busy_count; j++)
			if (s->locked.busy[j] == r->keys[i]) {
				s->locked.busy[j] = s->locked.busy[--s->locked.busy_count];
				break;
			}
}

/* With the lock held when it returns, also on an error. */
NO_ANALYSIS static int enter(struct request *r)
{
	struct store *s = r->s;
	lock_take(&s->lock);
	if (s->locked.stopped)
		return fault_set(-ECANCELED, false, "stopped");
	s->locked.calls[r->op]++;
	r->counted = true;
	if (++s->locked.under_way > s->locked.busiest)
		s->locked.busiest = s->locked.under_way;
	if (r->changes)
		mark_busy(r);
	if (s->locked.story.length < STORY_MAX) {
		buf_text(&s->locked.story, bucket_op_name(r->op));
		for (size_t i = 0; i < r->count; i++)
			buf_printf(&s->locked.story, " %s", r->keys[i]);
		buf_text(&s->locked.story, ", ");
	}
	if (is_shut(s, r->keys[0]) && (r->changes || r->op == BUCKET_UPLOAD_PART)) {
		s->locked.at_gate++;
		wakeup_all(&s->moved);
		while (is_shut(s, r->keys[0]))
			wakeup_wait(&s->moved, &s->lock);
		s->locked.at_gate--;
	}
	nap(s);
	if (s->locked.stopped)
		return fault_set(-ECANCELED, false, "stopped");
	int error = 0;
	if (r->op != BUCKET_REMOVE && s->locked.knobs.judge)
		error = s->locked.knobs.judge(s->locked.knobs.arg, r->op, r->keys[0]);
	if (error)
		return fault_set(error, false, "judged");
	if (roll(s, 1000) < s->locked.knobs.fail)
		return fault_set(-EHOSTDOWN, s->locked.knobs.again, "it did not arrive");
	r->lost = roll(s, 1000) < s->locked.knobs.lose;
	if (s->locked.knobs.lost_count && r->op == s->locked.knobs.lost_op) {
		s->locked.knobs.lost_count--;
		r->lost = true;
	}
	return 0;
}

NO_ANALYSIS static int leave(struct request *r, int result)
{
	struct store *s = r->s;
	nap(s);
	if (r->changes && r->counted)
		unmark_busy(r);
	s->locked.under_way -= r->counted;
	bool again = s->locked.knobs.again;
	lock_drop(&s->lock);
	return result == 0 && r->lost ? fault_set(-EHOSTDOWN, again, "the answer was lost") : result;
}

static bool refuses(const struct store *s, const struct stored *o, const char *etag)
{
	return etag && etag[0] && !s->locked.knobs.no_if_match && strcmp(etag, o->object.etag) != 0;
}

static int read_bytes(int fd, uint64_t offset, uint64_t length, struct buf *out)
{
	char bytes[65536];
	while (length) {
		size_t want = length < sizeof(bytes) ? (size_t)length : sizeof(bytes);
		ssize_t got = pread(fd, bytes, want, (off_t)offset);
		if (got <= 0)
			return fault_set(got < 0 ? -errno : -EIO, false, "the local file is too short");
		buf_append(out, bytes, (size_t)got);
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	return 0;
}

/* -- operations -- */

static int op_start(void *self)
{
	struct store *s = self;
	lock_take(&s->lock);
	s->locked.stopped = false;
	lock_drop(&s->lock);
	return 0;
}

static void op_stop(void *self)
{
	struct store *s = self;
	lock_take(&s->lock);
	s->locked.stopped = true;
	wakeup_all(&s->moved);
	lock_drop(&s->lock);
}

static void op_close(void *self)
{
	(void)self;
}

static int op_probe(void *self)
{
	struct store *s = self;
	lock_take(&s->lock);
	int error = s->locked.knobs.probe_error;
	lock_drop(&s->lock);
	return error ? fault_set(error, false, "probed") : 0;
}

static int op_put(void *self, const struct put_request *request, struct object *out)
{
	struct request r = {self, BUCKET_PUT, &request->key, 1, true, false, false};
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	int result = read_bytes(request->fd, request->offset, request->length, &bytes);
	if (result)
		return result;
	result = enter(&r);
	if (!result)
		*out = store_make_object(self, request->key, &bytes, request->attrs)->object;
	return leave(&r, result);
}

static int op_copy(void *self, const struct copy_request *request, struct object *out)
{
	struct store *s = self;
	struct request r = {s, BUCKET_COPY, &request->to, 1, true, false, false};
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	int result = enter(&r);
	if (!result) {
		const struct stored *from = *store_find(&s->locked.objects, request->from, "");
		if (!from)
			result = fault_set(-ENOENT, false, "no source");
		else if (refuses(s, from, request->etag))
			result = fault_set(-ESTALE, false, "another ETag");
		else
			buf_append(&bytes, from->bytes.data, from->bytes.length);
	}
	if (!result)
		*out = store_make_object(s, request->to, &bytes, request->attrs)->object;
	return leave(&r, result);
}

static int op_remove(void *self, const char *const *keys, size_t count, int *results)
{
	struct store *s = self;
	struct request r = {s, BUCKET_REMOVE, keys, count, true, false, false};
	int result = enter(&r);
	const struct store_knobs *knobs = &s->locked.knobs;
	for (size_t i = 0; !result && knobs->poison && i < count; i++)
		if (!strcmp(knobs->poison, keys[i]))
			result = fault_set(-EINVAL, false, "poison");
	for (size_t i = 0; !result && i < count; i++) {
		results[i] = knobs->judge ? knobs->judge(knobs->arg, BUCKET_REMOVE, keys[i]) : 0;
		if (!results[i])
			store_drop(&s->locked.objects, keys[i], "");
	}
	return leave(&r, result);
}

static int op_head(void *self, const char *key, struct object *out)
{
	struct store *s = self;
	struct request r = {s, BUCKET_HEAD, &key, 1, false, false, false};
	int result = enter(&r);
	if (!result) {
		const struct stored *o = *store_find(&s->locked.objects, key, "");
		result = o ? 0 : fault_set(-ENOENT, false, "no such key");
		if (o)
			*out = o->object;
	}
	return leave(&r, result);
}

static int op_get(void *self, const struct get_request *request)
{
	struct store *s = self;
	struct request r = {s, BUCKET_GET, &request->key, 1, false, false, false};
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	struct object object = {0};
	int result = enter(&r);
	if (!result) {
		const struct stored *o = *store_find(&s->locked.objects, request->key, "");
		result = !o				     ? fault_set(-ENOENT, false, "no such key")
			 : refuses(s, o, request->etag) ? fault_set(-ESTALE, false, "another ETag")
							    : 0;
		if (!result) {
			object = o->object;
			buf_append(&bytes, o->bytes.data, o->bytes.length);
		}
	}
	result = leave(&r, result);
	if (result)
		return result;
	size_t start = request->offset < bytes.length ? (size_t)request->offset : bytes.length;
	size_t length = bytes.length - start;
	if (request->length && request->length < length)
		length = (size_t)request->length;
	result = request->sink->begin(request->sink, &object);
	if (!result && length)
		result = request->sink->take(request->sink, start, bytes.data + start, length);
	return result;
}

static int op_list(void *self, const struct list_request *request, struct list_page *out)
{
	(void)self;
	(void)request;
	memset(out, 0, sizeof(*out));
	return fault_set(-EPROTO, false, "this bucket does not list");
}

/* -- uploads -- */

static int op_upload_create(void *self, const char *key, const struct object_attrs *attrs,
			    char id[UPLOAD_ID_BYTES])
{
	struct store *s = self;
	struct request r = {s, BUCKET_UPLOAD_CREATE, &key, 1, false, false, false};
	int result = enter(&r);
	if (!result && r.lost && s->locked.knobs.late) {
		snprintf(s->locked.late_key, sizeof(s->locked.late_key), "%s", key);
	} else if (!result) {
		snprintf(id, UPLOAD_ID_BYTES, "upload-%llu", (unsigned long long)++s->locked.serial);
		struct stored *o = store_make(&s->locked.uploads, key, id);
		o->object.mtime_ns = clock_wall_ns();
		if (attrs)
			o->object.attrs = *attrs;
	}
	return leave(&r, result);
}

static int op_upload_part(void *self, const struct part_request *request, struct part *out)
{
	struct store *s = self;
	struct request r = {s, BUCKET_UPLOAD_PART, &request->key, 1, false, false, false};
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	int result = read_bytes(request->fd, request->offset, request->length, &bytes);
	if (result)
		return result;
	result = enter(&r);
	struct stored *o = *store_find(&s->locked.uploads, request->key, request->id);
	if (!result && !o)
		result = fault_set(-ENOMSG, false, "no such upload");
	if (!result) {
		if (request->number > o->parts_count) {
			o->parts = reallocarray(o->parts, request->number, sizeof(*o->parts));
			assert(o->parts);
			memset(o->parts + o->parts_count, 0,
			       (request->number - o->parts_count) * sizeof(*o->parts));
			o->parts_count = request->number;
		}
		struct stored_part *part = &o->parts[request->number - 1];
		buf_clear(&part->bytes);
		buf_append(&part->bytes, bytes.data, bytes.length);
		store_etag(bytes.data, bytes.length, part->etag);
		memcpy(out->etag, part->etag, ETAG_BYTES);
	}
	return leave(&r, result);
}

static int assemble(const struct stored *o, const struct part *parts, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		if (parts[i].number > o->parts_count ||
		    strcmp(o->parts[parts[i].number - 1].etag, parts[i].etag) != 0)
			return fault_set(-EINVAL, false, "invalid part");
		buf_append(out, o->parts[parts[i].number - 1].bytes.data,
			   o->parts[parts[i].number - 1].bytes.length);
	}
	return 0;
}

static int op_upload_complete(void *self, const char *key, const char *id, const struct part *parts,
			      size_t count, struct object *out)
{
	struct store *s = self;
	struct request r = {s, BUCKET_UPLOAD_COMPLETE, &key, 1, true, false, false};
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	int result = enter(&r);
	struct stored *o = *store_find(&s->locked.uploads, key, id);
	if (!result)
		result = o ? assemble(o, parts, count, &bytes) : fault_set(-ENOMSG, false, "no such upload");
	if (!result) {
		struct object_attrs attrs = o->object.attrs;
		store_drop(&s->locked.uploads, key, id);
		o = store_make_object(s, key, &bytes, &attrs);
		char whole[64];
		snprintf(whole, sizeof(whole), "%.32s-%zu", o->object.etag, count);
		strcpy(o->object.etag, whole); /* not that of the bytes: a copy has another */
		*out = o->object;
	}
	return leave(&r, result);
}

static int op_upload_abort(void *self, const char *key, const char *id)
{
	struct store *s = self;
	struct request r = {s, BUCKET_UPLOAD_ABORT, &key, 1, false, false, false};
	int result = enter(&r);
	if (!result && !*store_find(&s->locked.uploads, key, id))
		result = fault_set(-ENOMSG, false, "no such upload");
	if (!result)
		store_drop(&s->locked.uploads, key, id);
	return leave(&r, result);
}

static int op_upload_list(void *self, const char *key, upload_visit *visit, void *arg)
{
	struct store *s = self;
	struct request r = {s, BUCKET_UPLOAD_LIST, &key, 1, false, false, false};
	int result = enter(&r);
	for (const struct stored *o = s->locked.uploads; !result && o; o = o->next)
		if (!strcmp(o->key, key))
			result = visit(arg, o->id, o->object.mtime_ns);
	if (!result && s->locked.late_key[0]) {
		store_make(&s->locked.uploads, s->locked.late_key, "late")->object.mtime_ns = clock_wall_ns();
		s->locked.late_key[0] = '\0';
	}
	return leave(&r, result);
}

const struct bucket_ops store_ops = {
	.start = op_start,
	.stop = op_stop,
	.close = op_close,
	.probe = op_probe,
	.get = op_get,
	.head = op_head,
	.list = op_list,
	.put = op_put,
	.copy = op_copy,
	.remove = op_remove,
	.upload_create = op_upload_create,
	.upload_part = op_upload_part,
	.upload_complete = op_upload_complete,
	.upload_abort = op_upload_abort,
	.upload_list = op_upload_list,
};
