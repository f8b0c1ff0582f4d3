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
