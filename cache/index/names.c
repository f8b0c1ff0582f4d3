/* One record a name; the key is the parent and the name as record.c stores it.
 *
 * Whether a name is a folder's is part of its key and not known to one who asks: lookups try both
 * forms, the likelier one first (a name with a dot in it is mostly a file's). A walk goes by the
 * stored form, so it is in the order of S3 also around names with bytes below '/' ("a-b" < "a/" <
 * "a0"). */
#include "names.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "internal.h"

struct place {
	uint8_t bytes[RECORD_NAME_KEY_BYTES_MAX];
};

static struct bytes name_key(struct place *place, uint64_t parent, const char *name,
			     size_t name_bytes, bool folder)
{
	return (struct bytes){place->bytes,
			      record_name_key(place->bytes, parent, name, name_bytes, folder)};
}

static int get_form(struct txn *txn, struct bytes key, struct name *out)
{
	struct bytes found;
	int rc = dbi_get(txn, DBI_NAMES, key, &found);
	if (rc != 0)
		return rc;
	if (record_name_key_decode(out, key.at, key.length) != 0 ||
	    record_name_decode(out, found.at, found.length) != 0)
		return dbi_damaged(DBI_NAMES, key);
	return 0;
}

int names_get(struct txn *txn, uint64_t parent, const char *name, struct name *out)
{
	struct place place;
	size_t length = strlen(name);
	int rc = name_check(name, length);
	if (rc != 0)
		return rc;
	bool folder = memchr(name, '.', length) == NULL;
	rc = get_form(txn, name_key(&place, parent, name, length, folder), out);
	if (rc == -ENOENT)
		rc = get_form(txn, name_key(&place, parent, name, length, !folder), out);
	return rc;
}

int names_put(struct txn *txn, uint64_t parent, const char *name, bool folder, uint64_t ino,
	      uint64_t cookie)
{
	struct place place;
	struct bytes found;
	uint8_t value[RECORD_NAME_BYTES_MAX];
	size_t length = strlen(name);

	assert(parent != 0 && ino != 0);
	int rc = name_check(name, length);
	if (rc != 0)
		return rc;
	rc = dbi_get(txn, DBI_NAMES, name_key(&place, parent, name, length, !folder), &found);
	if (rc != -ENOENT)
		return rc == 0 ? -EEXIST : rc;
	size_t value_bytes = record_name_encode(value, ino, cookie ? cookie : ino);
	return dbi_insert(txn, DBI_NAMES, name_key(&place, parent, name, length, folder),
			  (struct bytes){value, value_bytes});
}

int names_delete(struct txn *txn, uint64_t parent, const char *name, bool folder)
{
	struct place place;
	size_t length = strlen(name);
	int rc = name_check(name, length);
	if (rc != 0)
		return rc;
	return dbi_delete(txn, DBI_NAMES, name_key(&place, parent, name, length, folder));
}

static bool below(struct bytes key, const uint8_t prefix[8])
{
	return key.length > 8 && memcmp(key.at, prefix, 8) == 0;
}

int names_empty(struct txn *txn, uint64_t parent, bool *out)
{
	struct bytes key, value;
	uint8_t prefix[8];
	record_be64(prefix, parent);
	int rc =
	    dbi_seek(txn, DBI_NAMES, (struct bytes){prefix, sizeof(prefix)}, false, &key, &value);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	*out = rc == -ENOENT || !below(key, prefix);
	return 0;
}

static int visit_one(struct bytes key, struct bytes value, name_visit *visit, void *arg)
{
	struct name name;
	if (record_name_key_decode(&name, key.at, key.length) != 0 ||
	    record_name_decode(&name, value.at, value.length) != 0)
		return dbi_damaged(DBI_NAMES, key);
	return visit(arg, &name);
}

static bool same(struct bytes a, struct bytes b)
{
	return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

int names_each(struct txn *txn, uint64_t parent, const struct names_position *after,
	       name_visit *visit, void *arg)
{
	struct place place;
	struct dbi_walk walk;
	struct bytes key, value;
	size_t length = after ? strnlen(after->text, sizeof(after->text)) : 0;

	assert(length <= NAME_BYTES_MAX);
	struct bytes from =
	    name_key(&place, parent, after ? after->text : "", length, after && after->folder);
	int rc = dbi_walk_start(txn, DBI_NAMES, from, &walk);
	if (rc != 0)
		return rc;
	while ((rc = dbi_walk_next(&walk, &key, &value)) == 1) {
		if (!below(key, place.bytes)) {
			rc = 0;
			break;
		}
		if (same(key, from))
			continue;
		rc = visit_one(key, value, visit, arg);
		if (rc != 0)
			break;
	}
	dbi_walk_end(&walk);
	return rc > 0 ? 0 : rc;
}
