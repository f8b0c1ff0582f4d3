/* User xattrs: the key is the ino and the name, the value is the value. Few nodes have any, and
 * those few: the limit on a node's sum is checked by walking over them. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "internal.h"
#include "nodes.h"

enum { NAME_MAX_BYTES = 255, SUM_MAX_BYTES = 65536 };

struct place {
	uint8_t bytes[8 + NAME_MAX_BYTES];
};

static int xattr_key(struct place *place, uint64_t ino, const char *name, struct bytes *out)
{
	size_t length = strlen(name);
	if (length == 0 || length > NAME_MAX_BYTES)
		return -ERANGE;
	record_be64(place->bytes, ino);
	memcpy(place->bytes + 8, name, length);
	*out = (struct bytes){place->bytes, 8 + length};
	return 0;
}

int xattrs_get(struct txn *txn, uint64_t ino, const char *name, struct buf *out)
{
	struct place place;
	struct bytes key, found;
	buf_clear(out);
	int rc = xattr_key(&place, ino, name, &key);
	if (rc == 0)
		rc = dbi_get(txn, DBI_XATTRS, key, &found);
	if (rc != 0)
		return rc == -ENOENT ? -ENODATA : rc;
	buf_append(out, found.at, found.length);
	return out->failed ? -ENOMEM : 0;
}

int xattrs_delete(struct txn *txn, uint64_t ino, const char *name)
{
	struct place place;
	struct bytes key;
	int rc = xattr_key(&place, ino, name, &key);
	if (rc == 0)
		rc = dbi_delete(txn, DBI_XATTRS, key);
	return rc == -ENOENT ? -ENODATA : rc;
}

/* visit: 0 = go on, -errno = fail. */
typedef int pair_visit(void *arg, struct bytes name, struct bytes value);

static int each(struct txn *txn, uint64_t ino, pair_visit *visit, void *arg)
{
	uint8_t prefix[8];
	struct dbi_walk walk;
	struct bytes key, value;
	record_be64(prefix, ino);
	int rc = dbi_walk_start(txn, DBI_XATTRS, (struct bytes){prefix, 8}, &walk);
	if (rc != 0)
		return rc;
	while ((rc = dbi_walk_next(&walk, &key, &value)) == 1) {
		rc = 0;
		if (key.length < 8 || memcmp(key.at, prefix, 8) != 0)
			break;
		struct bytes name = {(const uint8_t *)key.at + 8, key.length - 8};
		if (name.length == 0 || memchr(name.at, 0, name.length))
			rc = dbi_damaged(DBI_XATTRS, key);
		else
			rc = visit(arg, name, value);
		if (rc != 0)
			break;
	}
	dbi_walk_end(&walk);
	return rc;
}

struct sums {
	const char *without;
	size_t names, values;
};

static int add_up(void *arg, struct bytes name, struct bytes value)
{
	struct sums *sums = arg;
	if (strlen(sums->without) == name.length &&
	    memcmp(sums->without, name.at, name.length) == 0)
		return 0;
	sums->names += name.length + 1;
	sums->values += value.length;
	return 0;
}

int xattrs_put(struct txn *txn, uint64_t ino, const char *name, const void *value, size_t length)
{
	struct place place;
	struct bytes key;
	struct sums sums = {name, 0, 0};
	int rc = xattr_key(&place, ino, name, &key);
	if (rc == 0 && length > SUM_MAX_BYTES)
		rc = -E2BIG;
	if (rc == 0)
		rc = each(txn, ino, add_up, &sums);
	if (rc != 0)
		return rc;
	if (sums.values + length > SUM_MAX_BYTES || sums.names + key.length - 8 + 1 > SUM_MAX_BYTES)
		return -ENOSPC;
	return dbi_put(txn, DBI_XATTRS, key, (struct bytes){length ? value : "", length});
}

static int append_name(void *arg, struct bytes name, struct bytes value)
{
	(void)value;
	buf_append(arg, name.at, name.length);
	buf_append(arg, "", 1);
	return 0;
}

int xattrs_list(struct txn *txn, uint64_t ino, struct buf *out)
{
	buf_clear(out);
	int rc = each(txn, ino, append_name, out);
	return rc == 0 && out->failed ? -ENOMEM : rc;
}
