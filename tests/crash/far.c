/* Every effect is an event: it is written to the log that is recorded, or to a scratch one, and then applied. */
#include "far.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/hex.h"
#include "cache/bucket/bucket_stats.h"
#include "cache/bucket/ops.h"
#include "record.h"

struct far far;
static pthread_mutex_t far_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log scratch;
static struct etags etags; /* they are MD5s, but those of uploads */

/* -- one request -- */

struct request {
	uint32_t id;
	bool lost;
	struct log *log; /* between begin_effect and end_effect */
	bool recorded;
};

static void request_note(struct request *r, enum event_kind kind)
{
	struct log *log = record_enter();
	if (!log)
		return;
	log_add(log, kind)->request = r->id;
	record_leave();
}

/* With the lock of the bucket held when it returns 0. */
static int begin_effect(struct request *r, enum bucket_op op)
{
	static uint32_t ids;
	r->id = __atomic_add_fetch(&ids, 1, __ATOMIC_RELAXED);
	request_note(r, EVENT_ASK);
	if (far.nap_us)
		record_nap(far.nap_us);
	pthread_mutex_lock(&far_lock);
	if (far.stopped) {
		pthread_mutex_unlock(&far_lock);
		request_note(r, EVENT_ANSWER);
		return fault_set(-ECANCELED, false, "stopped");
	}
	far.requests[op]++;
	r->lost = far.lose && draw_below(&far.random, 1000) < far.lose;
	r->log = record_enter();
	r->recorded = r->log;
	if (!r->recorded) {
		if (!scratch.events)
			log_init(&scratch);
		log_clear(&scratch);
		r->log = &scratch;
	}
	return 0;
}

static int end_effect(struct request *r, int result)
{
	if (r->recorded)
		record_leave();
	pthread_mutex_unlock(&far_lock);
	if (far.nap_us)
		record_nap(far.nap_us);
	request_note(r, EVENT_ANSWER);
	return result == 0 && r->lost ? fault_set(-EHOSTDOWN, true, "the answer was lost") : result;
}

static struct event *effect(struct request *r, enum event_kind kind, const char *key)
{
	struct event *event = log_add(r->log, kind);
	event->request = r->id;
	event->text = log_text(r->log, key);
	return event;
}

static void apply(struct request *r, const struct event *event)
{
	objects_apply(&far.objects, r->log, event);
}

static uint64_t note_attrs(struct request *r, const struct object_attrs *attrs)
{
	static const struct object_attrs none;
	return log_bytes(r->log, attrs ? attrs : &none, sizeof(none));
}

static void put_object(struct request *r, const char *key, const struct object_bytes *bytes,
		       const struct object_attrs *attrs)
{
	struct event *event = effect(r, EVENT_OBJECT, key);
	event->data = log_bytes(r->log, bytes->at, bytes->length);
	event->length = bytes->length;
	event->text2 = log_text(r->log, bytes->etag);
	event->attrs = note_attrs(r, attrs);
	apply(r, event);
}

static void describe(const struct stored_object *s, struct object *out)
{
	memset(out, 0, sizeof(*out));
	out->size_bytes = s->whole.length;
	out->mtime_ns = INT64_C(1700000000000000000);
	snprintf(out->etag, sizeof(out->etag), "%s", s->whole.etag);
	out->attrs = s->attrs;
	sum_of_etag(&out->sum, s->whole.etag);
}

static int read_local(int fd, uint64_t offset, uint64_t length, struct object_bytes *out)
{
	out->length = length;
	out->at = malloc(length + 1);
	if (!out->at)
		return -ENOMEM;
	for (uint64_t done = 0; done < length;) {
		ssize_t n = pread(fd, (char *)out->at + done, length - done, (off_t)(offset + done));
		if (n <= 0)
			return fault_set(n < 0 ? -errno : -EIO, false, "the local file is too short");
		done += (uint64_t)n;
	}
	objects_etag(out->at, length, out->etag);
	return 0;
}

/* -- operations -- */

static int far_start(void *self)
{
	(void)self;
	far.stopped = false;
	return 0;
}

static void far_stop(void *self)
{
	(void)self;
	pthread_mutex_lock(&far_lock);
	far.stopped = true;
	pthread_mutex_unlock(&far_lock);
}

static void far_close(void *self)
{
	(void)self;
	etags_destroy(&etags);
}

static int far_probe(void *self)
{
	(void)self;
	return 0;
}

static int op_put(void *self, const struct put_request *request, struct object *out)
{
	struct request r = {0};
	struct object_bytes bytes = {0};
	(void)self;
	int result = read_local(request->fd, request->offset, request->length, &bytes);
	if (!result)
		result = begin_effect(&r, BUCKET_PUT);
	if (!result) {
		put_object(&r, request->key, &bytes, request->attrs);
		describe(objects_find(&far.objects, request->key, ""), out);
		result = end_effect(&r, 0);
	}
	free(bytes.at);
	return result;
}

static const struct stored_object *source(const char *key, const char *etag, int *result)
{
	const struct stored_object *s = objects_find(&far.objects, key, "");
	if (!s)
		*result = fault_set(-ENOENT, false, "no such key");
	else if (etag && etag[0] && strcmp(etag, s->whole.etag))
		*result = fault_set(-ESTALE, false, "another ETag");
	return *result ? NULL : s;
}

static int op_copy(void *self, const struct copy_request *request, struct object *out)
{
	struct request r = {0};
	(void)self;
	int result = begin_effect(&r, BUCKET_COPY);
	if (result)
		return result;
	const struct stored_object *from = source(request->from, request->etag, &result);
	if (from) {
		struct object_bytes bytes = from->whole;
		objects_etag(bytes.at, bytes.length, bytes.etag);
		put_object(&r, request->to, &bytes, request->attrs); /* REPLACE */
		describe(objects_find(&far.objects, request->to, ""), out);
	}
	return end_effect(&r, result);
}

static int op_remove(void *self, const char *const *keys, size_t count, int *results)
{
	struct request r = {0};
	(void)self;
	int result = begin_effect(&r, BUCKET_REMOVE);
	if (result)
		return result;
	for (size_t i = 0; i < count; i++) {
		apply(&r, effect(&r, EVENT_NO_OBJECT, keys[i]));
		results[i] = 0;
	}
	return end_effect(&r, 0);
}

static int op_head(void *self, const char *key, struct object *out)
{
	struct request r = {0};
	(void)self;
	int result = begin_effect(&r, BUCKET_HEAD);
	if (result)
		return result;
	const struct stored_object *s = source(key, NULL, &result);
	if (s)
		describe(s, out);
	return end_effect(&r, result);
}

static int op_get(void *self, const struct get_request *request)
{
	struct request r = {0};
	struct object object;
	char *bytes = NULL;
	size_t length = 0;
	(void)self;
	int result = begin_effect(&r, BUCKET_GET);
	if (result)
		return result;
	const struct stored_object *s = source(request->key, request->etag, &result);
	if (s) {
		describe(s, &object);
		size_t start = request->offset < s->whole.length ? request->offset : s->whole.length;
		length = s->whole.length - start;
		if (request->length && request->length < length)
			length = request->length;
		bytes = malloc(length + 1);
		if (!bytes)
			broken("no memory");
		memcpy(bytes, (char *)s->whole.at + start, length);
	}
	r.lost = false;
	result = end_effect(&r, result);
	if (!result)
		result = request->sink->begin(request->sink, &object);
	for (size_t at = 0; !result && at < length; at += 16384) /* in pieces, as they come from a network */
		result = request->sink->take(request->sink, request->offset + at, bytes + at,
					     length - at < 16384 ? length - at : 16384);
	free(bytes);
	return result;
}

/* -- listing: one page -- */

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct list_entry *)a)->key, ((const struct list_entry *)b)->key);
}

static void list_one(struct list_page *out, const struct list_request *request, const struct stored_object *s,
		     char **text)
{
	size_t prefix = strlen(request->prefix);
	const char *slash = request->delimiter ? strchr(s->key + prefix, '/') : NULL;
	size_t length = slash ? (size_t)(slash + 1 - s->key) : strlen(s->key);
	for (size_t i = 0; i < out->count; i++)
		if (out->entries[i].key_bytes == length && !memcmp(out->entries[i].key, s->key, length))
			return;
	struct list_entry *entry = &out->entries[out->count++];
	entry->key = memcpy(*text, s->key, length);
	*text += length + 1;
	entry->key_bytes = length;
	entry->folder = slash;
	if (!slash) {
		describe(s, &entry->object);
		entry->object.attrs.valid = false;
		entry->object.sum.kind = SUM_NONE;
	}
}

static int op_list(void *self, const struct list_request *request, struct list_page *out)
{
	struct request r = {0};
	size_t count = 0, length = 0;
	(void)self;
	memset(out, 0, sizeof(*out));
	int result = begin_effect(&r, BUCKET_LIST);
	if (result)
		return result;
	for (const struct stored_object *s = far.objects.first; s; s = s->next, count++)
		length += strlen(s->key) + 1;
	out->entries = calloc(count + 1, sizeof(*out->entries));
	char *text = out->memory = calloc(1, length + 1);
	for (const struct stored_object *s = far.objects.first; s; s = s->next)
		if (!s->id[0] && !strncmp(s->key, request->prefix, strlen(request->prefix)))
			list_one(out, request, s, &text);
	qsort(out->entries, out->count, sizeof(*out->entries), compare_entries);
	r.lost = false;
	return end_effect(&r, 0);
}

/* -- uploads -- */

static int op_upload_create(void *self, const char *key, const struct object_attrs *attrs, char id[UPLOAD_ID_BYTES])
{
	struct request r = {0};
	(void)self;
	int result = begin_effect(&r, BUCKET_UPLOAD_CREATE);
	if (result)
		return result;
	snprintf(id, UPLOAD_ID_BYTES, "upload-%u-%u", (unsigned)getpid(), ++far.serial);
	struct event *event = effect(&r, EVENT_UPLOAD, key);
	event->text2 = log_text(r.log, id);
	event->attrs = note_attrs(&r, attrs);
	apply(&r, event);
	return end_effect(&r, 0);
}

static int op_upload_part(void *self, const struct part_request *request, struct part *out)
{
	struct request r = {0};
	struct object_bytes bytes = {0};
	(void)self;
	int result = read_local(request->fd, request->offset, request->length, &bytes);
	if (!result)
		result = begin_effect(&r, BUCKET_UPLOAD_PART);
	if (!result) {
		if (objects_find(&far.objects, request->key, request->id)) {
			struct event *event = effect(&r, EVENT_PART, request->key);
			event->text2 = log_text(r.log, request->id);
			event->node = request->number;
			event->data = log_bytes(r.log, bytes.at, bytes.length);
			event->length = bytes.length;
			apply(&r, event);
			snprintf(out->etag, sizeof(out->etag), "%s", bytes.etag);
		} else {
			result = fault_set(-ENOMSG, false, "no such upload");
		}
		result = end_effect(&r, result);
	}
	free(bytes.at);
	return result;
}

/* As S3 makes it: the MD5 of the MD5s of the parts, and how many they are. */
static void upload_etag(const struct part *parts, size_t count, char etag[64])
{
	unsigned char md5s[16 * 256];
	if (count > 256)
		broken("too many parts");
	for (size_t i = 0; i < count; i++)
		if (hex_decode(md5s + 16 * i, parts[i].etag, 16))
			broken("no ETag of ours: %s", parts[i].etag);
	objects_etag(md5s, count * 16, etag);
	snprintf(etag + 32, 32, "-%zu", count);
}

static int assemble(const struct stored_object *s, const struct part *parts, size_t count, struct object_bytes *out)
{
	for (size_t i = 0; i < count; i++) {
		if (parts[i].number > s->parts_count || !s->parts[parts[i].number - 1].at ||
		    strcmp(s->parts[parts[i].number - 1].etag, parts[i].etag))
			return fault_set(-EINVAL, false, "no such part");
		const struct object_bytes *part = &s->parts[parts[i].number - 1];
		out->at = realloc(out->at, out->length + part->length + 1);
		if (!out->at)
			broken("no memory");
		memcpy((char *)out->at + out->length, part->at, part->length);
		out->length += part->length;
	}
	upload_etag(parts, count, out->etag);
	return 0;
}

static int op_upload_complete(void *self, const char *key, const char *id, const struct part *parts, size_t count,
			      struct object *out)
{
	struct request r = {0};
	struct object_bytes bytes = {0};
	(void)self;
	int result = begin_effect(&r, BUCKET_UPLOAD_COMPLETE);
	if (result)
		return result;
	const struct stored_object *s = objects_find(&far.objects, key, id);
	result = s ? assemble(s, parts, count, &bytes) : fault_set(-ENOMSG, false, "no such upload");
	if (!result) {
		put_object(&r, key, &bytes, &s->attrs);
		struct event *event = effect(&r, EVENT_UPLOAD_END, key);
		event->text2 = log_text(r.log, id);
		apply(&r, event);
		describe(objects_find(&far.objects, key, ""), out);
	}
	free(bytes.at);
	return end_effect(&r, result);
}

static int op_upload_abort(void *self, const char *key, const char *id)
{
	struct request r = {0};
	(void)self;
	int result = begin_effect(&r, BUCKET_UPLOAD_ABORT);
	if (result)
		return result;
	if (objects_find(&far.objects, key, id)) {
		struct event *event = effect(&r, EVENT_UPLOAD_END, key);
		event->text2 = log_text(r.log, id);
		apply(&r, event);
	} else {
		result = fault_set(-ENOMSG, false, "no such upload");
	}
	return end_effect(&r, result);
}

static int op_upload_list(void *self, const char *key, upload_visit *visit, void *arg)
{
	struct request r = {0};
	(void)self;
	int result = begin_effect(&r, BUCKET_UPLOAD_LIST);
	if (result)
		return result;
	for (const struct stored_object *s = far.objects.first; !result && s; s = s->next)
		if (s->id[0] && !strcmp(s->key, key))
			result = visit(arg, s->id, 0);
	return end_effect(&r, result);
}

static int op_uploads_page(void *self, const struct upload_marks *marks, struct upload_marks *next,
			   key_upload_visit *visit, void *arg)
{
	struct request r = {0};
	(void)self;
	(void)marks;
	*next = (struct upload_marks){NULL, NULL};
	int result = begin_effect(&r, BUCKET_UPLOAD_LIST);
	if (result)
		return result;
	for (const struct stored_object *s = far.objects.first; !result && s; s = s->next)
		if (s->id[0])
			result = visit(arg, s->key, s->id, 0);
	return end_effect(&r, result);
}

/* -- opening -- */

static const struct bucket_ops far_ops = {
	.start = far_start,
	.stop = far_stop,
	.close = far_close,
	.probe = far_probe,
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
	.uploads_page = op_uploads_page,
};

void far_put(const char *key, const void *bytes, size_t length)
{
	struct request r = {0};
	struct object_bytes object = {.length = length};
	union {
		const void *in;
		void *out;
	} borrowed = {.in = bytes};
	object.at = borrowed.out;
	objects_etag(bytes, length, object.etag);
	if (begin_effect(&r, BUCKET_PUT))
		broken("the bucket is stopped");
	put_object(&r, key, &object, NULL);
	r.lost = false;
	if (end_effect(&r, 0))
		broken("the bucket refuses");
}

int far_open(const struct bucket_config *config, struct bucket **out)
{
	struct bucket_impl impl = {&far_ops, &far, strdup("far"), KEY_BYTES_MAX, &etags};
	etags_init(&etags, true);
	return bucket_open_over(config, &impl, out);
}
