/* Any bytes as the answer of a server: the first chooses which answer they are taken for. What is accepted keeps what
 * s3_xml.h promises. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/bucket/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_result(int r)
{
	assert(r == 0 || r == -EPROTO || r == -ENOMEM || r == -EREMOTEIO || r == -ENODATA);
}

static bool is_text(const char *text, size_t space)
{
	return memchr(text, '\0', space) != NULL;
}

static void check_list(const char *xml, size_t size)
{
	struct list_page page;
	int r = s3_xml_list(xml, size, &page);

	check_result(r);
	if (r)
		return;
	assert(!page.token || page.token[0]);
	for (size_t i = 0; i < page.count; i++) {
		const struct list_entry *e = &page.entries[i];
		assert(e->key[e->key_bytes] == '\0');
		assert(is_text(e->object.etag, ETAG_BYTES) && !strpbrk(e->object.etag, "\"\r\n"));
		assert(!e->folder || e->object.size_bytes == 0);
	}
	list_page_destroy(&page);
}

static void check_values(const char *xml, size_t size)
{
	char etag[ETAG_BYTES], id[UPLOAD_ID_BYTES];
	struct s3_error e;
	int r;

	check_result(s3_xml_error(xml, size, &e));
	assert(is_text(e.code, sizeof(e.code)) && is_text(e.message, sizeof(e.message)) &&
	       is_text(e.region, sizeof(e.region)) && is_text(e.endpoint, sizeof(e.endpoint)));
	assert(!strpbrk(e.message, "\r\n\x1b"));
	r = s3_xml_etag(xml, size, etag, &e);
	check_result(r);
	assert(r != 0 || etag[0]);
	assert(is_text(etag, sizeof(etag)));
	r = s3_xml_upload_id(xml, size, id);
	check_result(r);
	assert(r != 0 || (id[0] && is_text(id, sizeof(id))));
}

static void on_deleted(void *arg, const char *key, const char *code, const char *message)
{
	*(size_t *)arg += strlen(key) + strlen(code) + strlen(message);
}

static int on_upload(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	assert(id[0] && initiated_ns >= 0);
	*(size_t *)arg += strlen(key) + strlen(id);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_xml_uploads_next next;
	size_t seen = 0;

	if (size == 0)
		return 0;
	const char *xml = (const char *)data + 1;
	size--;
	switch (data[0] % 4) {
	case 0:
		check_list(xml, size);
		break;
	case 1:
		check_values(xml, size);
		break;
	case 2:
		check_result(s3_xml_delete(xml, size, on_deleted, &seen));
		break;
	default:
		check_result(s3_xml_uploads(xml, size, on_upload, &seen, &next));
		assert(!next.key_marker == !next.id_marker);
		free(next.key_marker);
		free(next.id_marker);
	}
	return 0;
}
