/* The XML answers of S3.
 *
 * Elements are told apart by their path below the root ("Contents/Key"), and each answer has one
 * function that gets path and text where an element ends. What it does not know it passes over,
 * since servers add elements freely; the limits are those of xml_walk.h.
 *
 * Keys are decoded at the end: EncodingType may stand after them. Under encoding-type=url a blank
 * may come as '+' (Amazon) or as %20 (others); a plus sign is always %2B. */
#include "s3_xml.h"
#include <errno.h>
#include <string.h>
#include "cache/base/buf.h"
#include "s3_text.h"
#include "xml_walk.h"

enum { ITEMS_MAX = 10000 }; /* entries of a page; S3 sends 1000 at most */

/* -- ListObjectsV2 -- */

struct listing {
	struct list_entry *entries;
	size_t count, space;
	struct buf keys; /* each with its NUL, in the order of entries */
	char *token;
	bool truncated, encoded;
	struct object object; /* of the Contents that is open */
	bool key_seen, size_seen;
};

static int listing_append(struct listing *l, bool folder)
{
	if (l->count == ITEMS_MAX)
		return -EPROTO;
	if (l->count == l->space) {
		size_t space = l->space ? 2 * l->space : 64;
		struct list_entry *longer = realloc(l->entries, space * sizeof(*longer));
		if (!longer)
			return -ENOMEM;
		l->entries = longer;
		l->space = space;
	}
	l->entries[l->count++] = (struct list_entry){.folder = folder, .object = l->object};
	return 0;
}

static int listing_key(struct listing *l, const struct buf *text)
{
	buf_append(&l->keys, buf_string(text), text->length);
	buf_append(&l->keys, "", 1);
	return l->keys.failed ? -ENOMEM : 0;
}

static int listing_contents_end(struct listing *l)
{
	int r = l->key_seen && l->size_seen ? listing_append(l, false) : -EPROTO;

	memset(&l->object, 0, sizeof(l->object));
	l->key_seen = l->size_seen = false;
	return r;
}

static int listing_contents(struct listing *l, const char *name, const struct buf *text)
{
	if (strcmp(name, "Key") == 0) {
		if (l->key_seen)
			return -EPROTO;
		l->key_seen = true;
		return listing_key(l, text);
	}
	if (strcmp(name, "Size") == 0) {
		l->size_seen = true;
		return s3_text_number(buf_string(text), &l->object.size_bytes);
	}
	if (strcmp(name, "LastModified") == 0)
		l->object.mtime_ns = s3_text_iso_time(buf_string(text));
	else if (strcmp(name, "ETag") == 0)
		s3_text_etag(l->object.etag, buf_string(text));
	return 0;
}

static int listing_end(void *arg, const char *path, const struct buf *text)
{
	struct listing *l = arg;
	int r;

	if (strcmp(path, "Contents") == 0)
		return listing_contents_end(l);
	if (strncmp(path, "Contents/", 9) == 0)
		return listing_contents(l, path + 9, text);
	if (strcmp(path, "CommonPrefixes/Prefix") == 0) {
		r = listing_key(l, text);
		return r ? r : listing_append(l, true);
	}
	if (strcmp(path, "IsTruncated") == 0)
		l->truncated = strcmp(buf_string(text), "true") == 0;
	if (strcmp(path, "EncodingType") == 0)
		l->encoded = strcmp(buf_string(text), "url") == 0;
	if (strcmp(path, "NextContinuationToken") == 0 && text->length > 0) {
		free(l->token);
		l->token = strdup(buf_string(text));
		return l->token ? 0 : -ENOMEM;
	}
	return 0;
}

/* Points the entries at their keys, decoded. */
static int listing_finish(struct listing *l)
{
	char *key = l->keys.data;

	if (l->truncated && !l->token)
		return -EPROTO;
	if (!l->truncated) {
		free(l->token);
		l->token = NULL;
	}
	for (size_t i = 0; i < l->count; i++) {
		size_t raw = strlen(key);
		long length = l->encoded ? s3_text_decode(key) : (long)raw;

		if (length < 0)
			return -EPROTO;
		l->entries[i].key = key;
		l->entries[i].key_bytes = (size_t)length;
		key += raw + 1;
	}
	return 0;
}

int s3_xml_list(const char *xml, size_t length, struct list_page *out)
{
	struct listing l = {.count = 0};
	struct xml_walk w = {.end = listing_end, .arg = &l};
	int r = xml_walk(&w, xml, length, "ListBucketResult");

	if (r == 0)
		r = listing_finish(&l);
	if (r) {
		free(l.entries);
		free(l.token);
		buf_destroy(&l.keys);
		return r;
	}
	*out = (struct list_page){.entries = l.entries, .count = l.count, .token = l.token};
	if (l.keys.data)
		out->memory = buf_steal(&l.keys);
	return 0;
}

/* -- Error, and the answers with one value -- */

static int error_end(void *arg, const char *path, const struct buf *text)
{
	struct s3_error *e = arg;

	if (strcmp(path, "Code") == 0)
		s3_text_copy(e->code, sizeof(e->code), buf_string(text));
	else if (strcmp(path, "Message") == 0)
		s3_text_copy(e->message, sizeof(e->message), buf_string(text));
	else if (strcmp(path, "Region") == 0)
		s3_text_copy(e->region, sizeof(e->region), buf_string(text));
	else if (strcmp(path, "Endpoint") == 0)
		s3_text_copy(e->endpoint, sizeof(e->endpoint), buf_string(text));
	return 0;
}

int s3_xml_error(const char *xml, size_t length, struct s3_error *out)
{
	struct xml_walk w = {.end = error_end, .arg = out};

	memset(out, 0, sizeof(*out));
	int r = xml_walk(&w, xml, length, "Error");
	if (r)
		memset(out, 0, sizeof(*out));
	return r;
}

struct result {
	struct s3_error *error;
	char *etag;
};

static int result_end(void *arg, const char *path, const struct buf *text)
{
	struct result *r = arg;

	if (strcmp(path, "ETag") == 0)
		s3_text_etag(r->etag, buf_string(text));
	return error_end(r->error, path, text);
}

int s3_xml_etag(const char *xml, size_t length, char etag[ETAG_BYTES], struct s3_error *error)
{
	struct result result = {.error = error, .etag = etag};
	struct xml_walk w = {.end = result_end, .arg = &result};

	memset(error, 0, sizeof(*error));
	etag[0] = '\0';
	int r = xml_walk(&w, xml, length, NULL);
	if (r)
		return r;
	if (strcmp(w.root, "Error") == 0)
		return -EREMOTEIO;
	memset(error, 0, sizeof(*error));
	if (!etag[0])
		return strstr(w.root, "Result") ? -ENODATA : -EPROTO;
	return 0;
}

static int upload_id_end(void *arg, const char *path, const struct buf *text)
{
	char *id = arg;

	if (strcmp(path, "UploadId") != 0)
		return 0;
	if (text->length == 0 || text->length >= UPLOAD_ID_BYTES)
		return -EPROTO;
	memcpy(id, text->data, text->length + 1);
	return 0;
}

int s3_xml_upload_id(const char *xml, size_t length, char id[UPLOAD_ID_BYTES])
{
	struct xml_walk w = {.end = upload_id_end, .arg = id};

	id[0] = '\0';
	int r = xml_walk(&w, xml, length, "InitiateMultipartUploadResult");
	if (r == 0 && !id[0])
		r = -EPROTO;
	return r;
}

/* -- DeleteResult -- */

struct deletion {
	s3_xml_delete_visit *visit;
	void *arg;
	struct buf key;
	char code[64], message[256];
};

static int deletion_end(void *arg, const char *path, const struct buf *text)
{
	struct deletion *d = arg;

	if (strcmp(path, "Error/Key") == 0) {
		buf_clear(&d->key);
		buf_append(&d->key, buf_string(text), text->length);
	} else if (strcmp(path, "Error/Code") == 0) {
		s3_text_copy(d->code, sizeof(d->code), buf_string(text));
	} else if (strcmp(path, "Error/Message") == 0) {
		s3_text_copy(d->message, sizeof(d->message), buf_string(text));
	} else if (strcmp(path, "Error") == 0) {
		d->visit(d->arg, buf_string(&d->key), d->code, d->message);
		buf_clear(&d->key);
		d->code[0] = d->message[0] = '\0';
	}
	return d->key.failed ? -ENOMEM : 0;
}

int s3_xml_delete(const char *xml, size_t length, s3_xml_delete_visit *visit, void *arg)
{
	struct deletion d = {.visit = visit, .arg = arg};
	struct xml_walk w = {.end = deletion_end, .arg = &d};
	int r = xml_walk(&w, xml, length, "DeleteResult");

	buf_destroy(&d.key);
	return r;
}

/* -- ListMultipartUploads -- */

struct uploads {
	struct buf texts;     /* key NUL id NUL of each upload */
	struct buf initiated; /* int64_t each */
	struct buf key, id;
	int64_t initiated_ns;
	size_t count;
	struct buf key_marker, id_marker;
	bool truncated, encoded;
};

static void keep(struct buf *out, const struct buf *text)
{
	buf_clear(out);
	buf_append(out, buf_string(text), text->length);
}

static int uploads_append(struct uploads *u)
{
	if (u->key.length == 0 || u->id.length == 0 || u->id.length >= UPLOAD_ID_BYTES ||
	    u->count == ITEMS_MAX)
		return -EPROTO;
	buf_append(&u->texts, u->key.data, u->key.length + 1);
	buf_append(&u->texts, u->id.data, u->id.length + 1);
	buf_append(&u->initiated, &u->initiated_ns, sizeof(u->initiated_ns));
	u->count++;
	buf_clear(&u->key);
	buf_clear(&u->id);
	u->initiated_ns = 0;
	return u->texts.failed || u->initiated.failed ? -ENOMEM : 0;
}

static int uploads_end(void *arg, const char *path, const struct buf *text)
{
	struct uploads *u = arg;

	if (strcmp(path, "Upload/Key") == 0)
		keep(&u->key, text);
	else if (strcmp(path, "Upload/UploadId") == 0)
		keep(&u->id, text);
	else if (strcmp(path, "Upload/Initiated") == 0)
		u->initiated_ns = s3_text_iso_time(buf_string(text));
	else if (strcmp(path, "Upload") == 0)
		return uploads_append(u);
	else if (strcmp(path, "NextKeyMarker") == 0)
		keep(&u->key_marker, text);
	else if (strcmp(path, "NextUploadIdMarker") == 0)
		keep(&u->id_marker, text);
	else if (strcmp(path, "IsTruncated") == 0)
		u->truncated = strcmp(buf_string(text), "true") == 0;
	else if (strcmp(path, "EncodingType") == 0)
		u->encoded = strcmp(buf_string(text), "url") == 0;
	return u->key.failed || u->id.failed || u->key_marker.failed || u->id_marker.failed
		   ? -ENOMEM
		   : 0;
}

static int uploads_next(struct uploads *u, struct s3_xml_uploads_next *next)
{
	if (!u->truncated)
		return 0;
	if (u->key_marker.length == 0)
		return -EPROTO;
	if (u->encoded && s3_text_decode(u->key_marker.data) < 0)
		return -EPROTO;
	next->key_marker = strdup(u->key_marker.data);
	next->id_marker = strdup(buf_string(&u->id_marker));
	if (next->key_marker && next->id_marker)
		return 0;
	free(next->key_marker);
	free(next->id_marker);
	*next = (struct s3_xml_uploads_next){NULL, NULL};
	return -ENOMEM;
}

static int uploads_visit(struct uploads *u, s3_xml_uploads_visit *visit, void *arg)
{
	char *p = u->texts.data;

	for (size_t i = 0; i < u->count; i++) {
		char *key = p, *id = key + strlen(key) + 1;
		int64_t initiated_ns;
		int r;

		p = id + strlen(id) + 1;
		memcpy(&initiated_ns, u->initiated.data + i * sizeof(initiated_ns),
		       sizeof(initiated_ns));
		if (u->encoded && s3_text_decode(key) < 0)
			return -EPROTO;
		r = visit(arg, key, id, initiated_ns);
		if (r)
			return r;
	}
	return 0;
}

int s3_xml_uploads(const char *xml, size_t length, s3_xml_uploads_visit *visit, void *arg,
		   struct s3_xml_uploads_next *next)
{
	struct uploads u = {.count = 0};
	struct xml_walk w = {.end = uploads_end, .arg = &u};
	int r = xml_walk(&w, xml, length, "ListMultipartUploadsResult");

	*next = (struct s3_xml_uploads_next){NULL, NULL};
	if (r == 0)
		r = uploads_visit(&u, visit, arg);
	if (r == 0)
		r = uploads_next(&u, next);
	buf_destroy(&u.texts);
	buf_destroy(&u.initiated);
	buf_destroy(&u.key);
	buf_destroy(&u.id);
	buf_destroy(&u.key_marker);
	buf_destroy(&u.id_marker);
	return r;
}
