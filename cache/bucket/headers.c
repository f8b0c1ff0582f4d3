/* What an object is sent with.
 *
 * Content-Type: by the extension of the last name, without regard to case. Asked in this order:
 *     the content_types file, where one is given
 *     the table below: what Mastodon's own S3 storage would send for the files that it makes
 *     /etc/mime.types, where there is one and no content_types file was given
 *     application/octet-stream
 *
 * The other fields: the options, else the defaults; then each rule whose pattern matches, in the
 * order of the file. At last backups/ is made private: Mastodon keeps account archives there, and a
 * pattern that was meant for media must not publish them. acl=none stays none, since a bucket with
 * ACLs disabled refuses any. */
#include "headers.h"
#include "cache/base/buf.h"
#include "ops.h"
#include "rules.h"
#include "text_file.h"
#include <errno.h>
#include <fnmatch.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { EXTENSION_BYTES_MAX = 32 };

struct mime_type {
	const char *extension, *type;
	unsigned order; /* of two lines for one extension the first wins */
};

struct rule {
	char *pattern; /* malloc'ed */
	const char *values[RULE_FIELDS];
};

struct headers {
	atomic_uint references;
	struct text_file types_file, rules_file; /* the strings of types and rules */
	struct mime_type *types;		 /* sorted by extension */
	size_t types_count, types_space;
	bool types_win; /* over the built-in table */
	struct rule *rules;
	size_t rules_count;
	char *fixed[RULE_FIELDS]; /* from the options; NULL = do not send */
	char *sse_kms_key;
};

static const struct mime_type built_in[] = {
    {"avif", "image/avif", 0},	   {"css", "text/css", 0},	    {"flac", "audio/flac", 0},
    {"gif", "image/gif", 0},	   {"heic", "image/heic", 0},	    {"html", "text/html", 0},
    {"ico", "image/x-icon", 0},	   {"jpeg", "image/jpeg", 0},	    {"jpg", "image/jpeg", 0},
    {"js", "text/javascript", 0},  {"json", "application/json", 0}, {"m4a", "audio/mp4", 0},
    {"mov", "video/quicktime", 0}, {"mp3", "audio/mpeg", 0},	    {"mp4", "video/mp4", 0},
    {"oga", "audio/ogg", 0},	   {"ogg", "audio/ogg", 0},	    {"ogv", "video/ogg", 0},
    {"png", "image/png", 0},	   {"svg", "image/svg+xml", 0},	    {"txt", "text/plain", 0},
    {"wav", "audio/wav", 0},	   {"webm", "video/webm", 0},	    {"webp", "image/webp", 0},
    {"zip", "application/zip", 0},
};

/* -- types -- */

static int mime_type_order(const void *a, const void *b)
{
	const struct mime_type *x = a, *y = b;
	int r = strcasecmp(x->extension, y->extension);

	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int types_add(void *arg, const char *extension, const char *type)
{
	struct headers *h = arg;

	if (h->types_count == h->types_space) {
		size_t space = h->types_space ? h->types_space * 2 : 256;
		struct mime_type *grown = reallocarray(h->types, space, sizeof(*grown));

		if (!grown)
			return fault_set(-ENOMEM, false, "no memory for content types");
		h->types = grown;
		h->types_space = space;
	}
	h->types[h->types_count] = (struct mime_type){extension, type, (unsigned)h->types_count};
	h->types_count++;
	return 0;
}

static int types_open(struct headers *h, const char *path)
{
	bool given = path && path[0];
	int r = text_file_read(given ? path : "/etc/mime.types", TEXT_FILE_OPEN, &h->types_file);

	/* The system's file is a convenience: what is wrong with it is not the user's fault. */
	if (r)
		return given ? r : 0;
	h->types_win = given;
	r = mime_types_parse(h->types_file.text, types_add, h);
	if (r == 0 && given && h->types_count == 0)
		r = fault_set(-EINVAL, false, "%s holds no line of the kind \"image/png png\"",
			      path);
	if (h->types_count > 0)
		qsort(h->types, h->types_count, sizeof(*h->types), mime_type_order);
	return r;
}

/* The first of its extension, or NULL. */
static const char *type_find(const struct mime_type *types, size_t count, const char *extension)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcasecmp(types[middle].extension, extension) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || strcasecmp(types[low].extension, extension) != 0)
		return NULL;
	return types[low].type;
}

static const char *content_type(const struct headers *h, const char *key)
{
	const char *name = strrchr(key, '/'), *dot, *type = NULL;

	name = name ? name + 1 : key;
	dot = strrchr(name, '.');
	if (!dot || dot == name || strlen(dot) > EXTENSION_BYTES_MAX)
		return "application/octet-stream";
	if (h->types_win)
		type = type_find(h->types, h->types_count, dot + 1);
	if (!type)
		type = type_find(built_in, sizeof(built_in) / sizeof(built_in[0]), dot + 1);
	if (!type)
		type = type_find(h->types, h->types_count, dot + 1);
	return type ? type : "application/octet-stream";
}

/* -- rules -- */

static int rules_add(void *arg, const char *pattern, const char *const values[RULE_FIELDS])
{
	struct headers *h = arg;
	struct rule *grown = reallocarray(h->rules, h->rules_count + 1, sizeof(*grown)), *rule;
	struct buf text = BUF_EMPTY;

	if (grown)
		h->rules = grown;
	buf_text(&text, pattern);
	if (pattern[strlen(pattern) - 1] == '/')
		buf_text(&text, "*");
	if (!grown || text.failed) {
		buf_destroy(&text);
		return fault_set(-ENOMEM, false, "no memory for rules");
	}
	rule = &h->rules[h->rules_count++];
	rule->pattern = buf_steal(&text);
	memcpy(rule->values, values, sizeof(rule->values));
	return 0;
}

static int rules_open(struct headers *h, const char *path)
{
	int r;

	if (!path || !path[0])
		return 0;
	r = text_file_read(path, TEXT_FILE_OPEN, &h->rules_file);
	return r ? r : rules_parse(h->rules_file.text, path, rules_add, h);
}

/* -- the whole -- */

static int fix(struct headers *h, enum rule_field field, const char *value, const char *fallback)
{
	int r;

	if (!value || !value[0])
		value = fallback;
	if (!value)
		return 0;
	r = rules_check(field, value);
	if (r || strcmp(value, "none") == 0)
		return r;
	h->fixed[field] = strdup(value);
	return h->fixed[field] ? 0 : fault_set(-ENOMEM, false, "no memory for headers");
}

static int fix_all(struct headers *h, const struct bucket_config *config)
{
	const char *kms = config->sse_kms_key;
	int r = fix(h, RULE_ACL, config->acl, "public-read");

	if (r == 0)
		r = fix(h, RULE_CACHE_CONTROL, config->cache_control,
			"public, max-age=315576000, immutable");
	if (r == 0)
		r = fix(h, RULE_STORAGE_CLASS, config->storage_class, NULL);
	if (r == 0)
		r = fix(h, RULE_SSE, config->sse, NULL);
	if (r || !kms || !kms[0])
		return r;
	for (const char *p = kms; *p; p++)
		if (*p <= ' ' || *p > '~')
			return fault_set(-EINVAL, false,
					 "sse_kms_key must be printable ASCII without blanks");
	h->sse_kms_key = strdup(kms);
	return h->sse_kms_key ? 0 : fault_set(-ENOMEM, false, "no memory for headers");
}

int headers_open(const struct bucket_config *config, struct headers **out)
{
	struct headers *h = calloc(1, sizeof(*h));
	int r;

	*out = NULL;
	if (!h)
		return fault_set(-ENOMEM, false, "no memory for headers");
	atomic_init(&h->references, 1);
	r = fix_all(h, config);
	if (r == 0)
		r = types_open(h, config->content_types);
	if (r == 0)
		r = rules_open(h, config->rules);
	if (r) {
		headers_close(&h);
		return r;
	}
	*out = h;
	return 0;
}

struct headers *headers_share(struct headers *h)
{
	atomic_fetch_add(&h->references, 1);
	return h;
}

void headers_close(struct headers **headers)
{
	struct headers *h = *headers;

	*headers = NULL;
	if (!h || atomic_fetch_sub(&h->references, 1) > 1)
		return;
	for (size_t i = 0; i < h->rules_count; i++)
		free(h->rules[i].pattern);
	for (int f = 0; f < RULE_FIELDS; f++)
		free(h->fixed[f]);
	free(h->sse_kms_key);
	free(h->rules);
	free(h->types);
	text_file_wipe(&h->types_file);
	text_file_wipe(&h->rules_file);
	free(h);
}

static const char *unless_none(const char *value)
{
	return strcmp(value, "none") == 0 ? NULL : value;
}

void headers_for(const struct headers *h, const char *key, struct object_headers *out)
{
	const char *values[RULE_FIELDS];

	memcpy(values, h->fixed, sizeof(values));
	values[RULE_CONTENT_TYPE] = content_type(h, key);
	for (size_t i = 0; i < h->rules_count; i++) {
		const struct rule *rule = &h->rules[i];

		if (fnmatch(rule->pattern, key, 0) != 0)
			continue;
		for (int f = 0; f < RULE_FIELDS; f++)
			if (rule->values[f])
				values[f] = unless_none(rule->values[f]);
	}
	if (values[RULE_ACL] && strncmp(key, "backups/", 8) == 0)
		values[RULE_ACL] = "private";
	*out = (struct object_headers){
	    .content_type = values[RULE_CONTENT_TYPE],
	    .cache_control = values[RULE_CACHE_CONTROL],
	    .acl = values[RULE_ACL],
	    .storage_class = values[RULE_STORAGE_CLASS],
	    .sse = values[RULE_SSE],
	};
	if (out->sse && strncmp(out->sse, "aws:kms", 7) == 0)
		out->sse_kms_key = h->sse_kms_key;
}
