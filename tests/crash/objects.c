#include "objects.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/base/hex.h"

void objects_etag(const void *bytes, size_t length, char etag[64])
{
	unsigned char md5[EVP_MAX_MD_SIZE];
	unsigned count = 0;
	if (!EVP_Digest(bytes, length, md5, &count, EVP_md5(), NULL))
		broken("no MD5");
	hex_encode(etag, md5, count);
}

static void set_bytes(struct object_bytes *b, const void *bytes, size_t length)
{
	free(b->at);
	b->at = malloc(length + 1);
	if (!b->at)
		broken("no memory");
	memcpy(b->at, bytes, length);
	b->length = length;
}

static struct stored_object **find(struct stored_object **at, const char *key, const char *id)
{
	while (*at && (strcmp((*at)->key, key) || strcmp((*at)->id, id)))
		at = &(*at)->next;
	return at;
}

struct stored_object *objects_find(const struct objects *o, const char *key, const char *id)
{
	struct stored_object *at = o->first;
	while (at && (strcmp(at->key, key) || strcmp(at->id, id)))
		at = at->next;
	return at;
}

static struct stored_object *make(struct objects *o, const char *key, const char *id)
{
	struct stored_object **at = find(&o->first, key, id);
	if (*at)
		return *at;
	*at = calloc(1, sizeof(**at));
	if (!*at || !((*at)->key = strdup(key)) || !((*at)->id = strdup(id)))
		broken("no memory");
	return *at;
}

static void destroy(struct stored_object *s)
{
	for (unsigned i = 0; i < s->parts_count; i++)
		free(s->parts[i].at);
	free(s->parts);
	free(s->whole.at);
	free(s->key);
	free(s->id);
	free(s);
}

static void drop(struct objects *o, const char *key, const char *id)
{
	struct stored_object **at = find(&o->first, key, id), *gone = *at;
	if (!gone)
		return;
	*at = gone->next;
	destroy(gone);
}

static void grow_parts(struct stored_object *s, unsigned count)
{
	if (count <= s->parts_count)
		return;
	s->parts = reallocarray(s->parts, count, sizeof(*s->parts));
	if (!s->parts)
		broken("no memory");
	memset(s->parts + s->parts_count, 0, (count - s->parts_count) * sizeof(*s->parts));
	s->parts_count = count;
}

static void put_part(struct stored_object *s, unsigned number, const void *bytes, size_t length)
{
	grow_parts(s, number);
	set_bytes(&s->parts[number - 1], bytes, length);
	objects_etag(bytes, length, s->parts[number - 1].etag);
}

void objects_apply(struct objects *o, const struct log *log, const struct event *event)
{
	const char *key = log_at(log, event->text), *text2 = log_at(log, event->text2);
	const void *bytes = log_at(log, event->data);
	struct stored_object *s;
	switch (event->kind) {
	case EVENT_OBJECT:
		s = make(o, key, "");
		set_bytes(&s->whole, bytes, event->length);
		snprintf(s->whole.etag, sizeof(s->whole.etag), "%s", text2);
		memcpy(&s->attrs, log_at(log, event->attrs), sizeof(s->attrs));
		break;
	case EVENT_NO_OBJECT:
		drop(o, key, "");
		break;
	case EVENT_UPLOAD:
		s = make(o, key, text2);
		memcpy(&s->attrs, log_at(log, event->attrs), sizeof(s->attrs));
		break;
	case EVENT_PART:
		s = objects_find(o, key, text2);
		if (s) /* one that was aborted meanwhile takes no more */
			put_part(s, event->node, bytes, event->length);
		break;
	case EVENT_UPLOAD_END:
		drop(o, key, text2);
		break;
	default:
		break;
	}
}

void objects_copy(struct objects *to, const struct objects *from)
{
	objects_clear(to);
	struct stored_object **end = &to->first;
	for (const struct stored_object *s = from->first; s; s = s->next) {
		struct stored_object *copy = calloc(1, sizeof(*copy));
		if (!copy || !(copy->key = strdup(s->key)) || !(copy->id = strdup(s->id)))
			broken("no memory");
		copy->attrs = s->attrs;
		set_bytes(&copy->whole, s->whole.at ? s->whole.at : "", s->whole.length);
		memcpy(copy->whole.etag, s->whole.etag, sizeof(s->whole.etag));
		for (unsigned i = 0; i < s->parts_count; i++)
			if (s->parts[i].at)
				put_part(copy, i + 1, s->parts[i].at, s->parts[i].length);
		grow_parts(copy, s->parts_count);
		*end = copy;
		end = &copy->next;
	}
}

void objects_clear(struct objects *o)
{
	struct stored_object *next;
	for (struct stored_object *s = o->first; s; s = next) {
		next = s->next;
		destroy(s);
	}
	o->first = NULL;
}
