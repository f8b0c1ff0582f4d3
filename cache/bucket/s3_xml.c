/* The XML answers of S3.
 *
 * One walk over the document for all of them: elements are told apart by their path below the root
 * ("Contents/Key"), a namespace prefix is cut off, and each answer has one function that gets path and
 * text where an element ends. What it does not know it passes over, since servers add elements freely.
 *
 * What is refused (-EPROTO): more than XML_BYTES_MAX, a DOCTYPE (so there are no entities but the five),
 * elements nested or texts longer than S3 has any use for, another root than the one expected, and
 * whatever expat refuses, among it characters that XML 1.0 has no way to express.
 *
 * Keys are decoded at the end: EncodingType may stand after them. Under encoding-type=url a blank may come as
 * '+' (Amazon) or as %20 (others); a plus sign is always %2B. */
#include "s3_xml.h"
#include <assert.h>
#include <errno.h>
#include <expat.h>
#include <string.h>
#include "cache/base/buf.h"
#include "s3_text.h"

enum {
	DEPTH_MAX = 12,
	PATH_BYTES_MAX = 256,
	TEXT_BYTES_MAX = 64 << 10,
	ITEMS_MAX = 10000, /* entries of a page; S3 sends 1000 at most */
};

struct walk {
	XML_Parser parser;
	int depth;                 /* 1 = the root is open */
	size_t lengths[DEPTH_MAX]; /* of path, before each open element */
	size_t path_length;
	char root[64], path[PATH_BYTES_MAX];
	struct buf text;
	int error;
	/* An element ended. path is "" for the root. A non-zero return ends the walk. */
	int (*end)(void *arg, const char *path, const struct buf *text);
	void *arg;
};

static void walk_fail(struct walk *w, int error)
{
	if (!w->error)
		w->error = error;
	XML_StopParser(w->parser, XML_FALSE);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
			       const XML_Char *public_id, int internal)
{
	(void)name, (void)system_id, (void)public_id, (void)internal;
	walk_fail(arg, -EPROTO);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct walk *w = arg;
	const char *colon = strrchr(name, ':');
	size_t length;

	(void)attributes;
	name = colon ? colon + 1 : name;
	length = strlen(name);
	if (w->depth == DEPTH_MAX || w->path_length + length + 2 > sizeof(w->path) ||
	    length >= sizeof(w->root)) {
		walk_fail(w, -EPROTO);
		return;
	}
	w->lengths[w->depth] = w->path_length;
	if (w->depth++ == 0) {
		memcpy(w->root, name, length + 1);
	} else {
		if (w->path_length)
			w->path[w->path_length++] = '/';
		memcpy(w->path + w->path_length, name, length + 1);
		w->path_length += length;
	}
	buf_clear(&w->text);
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int length)
{
	struct walk *w = arg;

	if (w->text.length + (size_t)length > TEXT_BYTES_MAX)
		walk_fail(w, -EPROTO);
	else
		buf_append(&w->text, text, (size_t)length);
	if (w->text.failed)
		walk_fail(w, -ENOMEM);
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct walk *w = arg;
	int r;

	(void)name;
	if (w->error) /* expat closes an empty element even after it was told to stop */
		return;
	assert(w->depth > 0);
	r = w->end(w->arg, w->path, &w->text);
	w->path_length = w->lengths[--w->depth];
	w->path[w->path_length] = '\0';
	buf_clear(&w->text);
	if (r)
		walk_fail(w, r);
}

/* Walks the document; the root's name has to be root or, where that is NULL, may be any. */
static int walk_run(struct walk *w, const char *xml, size_t length, const char *root)
{
	/* Amazon keeps a connection alive with blanks before a late answer; XML wants none there. */
	while (length && (*xml == ' ' || *xml == '\n' || *xml == '\r' || *xml == '\t')) {
		xml++;
		length--;
	}
	if (length == 0 || length > XML_BYTES_MAX)
		return -EPROTO;
	w->parser = XML_ParserCreate("UTF-8");
	if (!w->parser)
		return -ENOMEM;
	XML_SetUserData(w->parser, w);
	XML_SetElementHandler(w->parser, on_start, on_end);
	XML_SetCharacterDataHandler(w->parser, on_text);
	XML_SetStartDoctypeDeclHandler(w->parser, on_doctype);
	if (XML_Parse(w->parser, xml, (int)length, XML_TRUE) != XML_STATUS_OK && !w->error)
		w->error = XML_GetErrorCode(w->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EPROTO;
	XML_ParserFree(w->parser);
	buf_destroy(&w->text);
	if (!w->error && root && strcmp(root, w->root) != 0)
		return -EPROTO;
	return w->error;
}

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
	struct walk w = {.end = listing_end, .arg = &l};
	int r = walk_run(&w, xml, length, "ListBucketResult");

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
	struct walk w = {.end = error_end, .arg = out};

	memset(out, 0, sizeof(*out));
	int r = walk_run(&w, xml, length, "Error");
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
	struct walk w = {.end = result_end, .arg = &result};

	memset(error, 0, sizeof(*error));
	etag[0] = '\0';
	int r = walk_run(&w, xml, length, NULL);
	if (r)
		return r;
	if (strcmp(w.root, "Error") == 0)
		return -EREMOTEIO;
	memset(error, 0, sizeof(*error));
	return etag[0] ? 0 : -EPROTO;
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
	struct walk w = {.end = upload_id_end, .arg = id};

	id[0] = '\0';
	int r = walk_run(&w, xml, length, "InitiateMultipartUploadResult");
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
	struct walk w = {.end = deletion_end, .arg = &d};
	int r = walk_run(&w, xml, length, "DeleteResult");

	buf_destroy(&d.key);
	return r;
}

/* -- ListMultipartUploads -- */

struct uploads {
	struct buf texts;   /* key NUL id NUL of each upload */
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
	return u->key.failed || u->id.failed || u->key_marker.failed || u->id_marker.failed ? -ENOMEM : 0;
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
		memcpy(&initiated_ns, u->initiated.data + i * sizeof(initiated_ns), sizeof(initiated_ns));
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
	struct walk w = {.end = uploads_end, .arg = &u};
	int r = walk_run(&w, xml, length, "ListMultipartUploadsResult");

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
