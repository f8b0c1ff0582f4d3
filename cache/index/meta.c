/* Small named values, in their own table. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "internal.h"

static struct bytes name_key(const char *name)
{
	size_t length = strnlen(name, META_NAME_BYTES_MAX + 1);
	assert(length > 0 && length <= META_NAME_BYTES_MAX);
	return (struct bytes){name, length};
}

int meta_get(struct txn *txn, const char *name, struct buf *out)
{
	struct bytes found;
	buf_clear(out);
	int rc = dbi_get(txn, DBI_META, name_key(name), &found);
	if (rc != 0)
		return rc;
	buf_append(out, found.at, found.length);
	return out->failed ? -ENOMEM : 0;
}

int meta_put(struct txn *txn, const char *name, const void *bytes, size_t length)
{
	assert(length <= META_VALUE_BYTES_MAX);
	return dbi_put(txn, DBI_META, name_key(name), (struct bytes){length ? bytes : "", length});
}

int meta_delete(struct txn *txn, const char *name)
{
	return dbi_delete(txn, DBI_META, name_key(name));
}

int meta_each(struct txn *txn, const char *prefix, meta_visit *visit, void *arg)
{
	char name[META_NAME_BYTES_MAX + 1];
	struct bytes from = name_key(prefix), key, value;
	bool strictly = false;
	int rc;

	while ((rc = dbi_seek(txn, DBI_META, from, strictly, &key, &value)) == 0) {
		if (key.length > META_NAME_BYTES_MAX)
			return dbi_damaged(DBI_META, key);
		memcpy(name, key.at, key.length);
		name[key.length] = '\0';
		if (strncmp(name, prefix, strlen(prefix)) != 0)
			return 0;
		rc = visit(arg, name);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
		from = (struct bytes){name, key.length};
		strictly = true;
	}
	return rc == -ENOENT ? 0 : rc;
}
