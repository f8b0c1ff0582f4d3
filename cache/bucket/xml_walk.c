/* A walk over a small XML document.
 *
 * Refused (-EPROTO): more than XML_BYTES_MAX, a DOCTYPE (so there are no entities but the five),
 * elements nested or texts longer than S3 has any use for, and whatever expat refuses.
 *
 * XML 1.0 cannot express control characters, but Ceph writes them as &#x01; where it echoes a
 * prefix or names the next page, so that one odd key would make a bucket unlistable. Before expat
 * sees them, such references become a mark (U+10FFFF, which no key can hold by then: a document
 * that has it besides is refused) and two digits, which take the same six bytes; the text of an
 * element gets the byte back. */
#include "xml_walk.h"
#include <assert.h>
#include <errno.h>
#include <expat.h>
#include <string.h>
#include "cache/base/hex.h"
#include "s3_xml.h"

enum { TEXT_BYTES_MAX = 64 << 10 };

static const char MARK[] = "\xf4\x8f\xbf\xbf";
enum { MARK_BYTES = 4, REFERENCE_BYTES = 6 };

/* The value of "&#x01;" at p, such a reference to a character that XML forbids; or -1. */
static int forbidden(const char *p, size_t left)
{
	unsigned char byte;
	char digits[3];

	if (left < REFERENCE_BYTES || memcmp(p, "&#x", 3) != 0 || p[5] != ';')
		return -1;
	memcpy(digits, p + 3, 2);
	digits[2] = '\0';
	if (hex_decode(&byte, digits, 1) || byte == 0 || byte >= 0x20 || byte == '\t' ||
	    byte == '\n' || byte == '\r')
		return -1;
	return byte;
}

/* A copy of xml with such references replaced by MARK and their digits, or NULL where there is
 * none. */
static int mark_forbidden(const char *xml, size_t length, char **out)
{
	char *copy = NULL;

	*out = NULL;
	for (size_t i = 0; i + REFERENCE_BYTES <= length; i++) {
		const char *next = memchr(xml + i, '&', length - i);

		if (!next)
			break;
		i = (size_t)(next - xml);
		if (forbidden(next, length - i) < 0)
			continue;
		if (!copy) {
			copy = malloc(length);
			if (!copy)
				return -ENOMEM;
			memcpy(copy, xml, length);
			/* What looks like a mark already, or like a reference but is not one. */
			if (memmem(copy, length, MARK, MARK_BYTES) ||
			    memmem(copy, length, "<![CDATA[", 9)) {
				free(copy);
				return -EPROTO;
			}
		}
		memcpy(copy + i, MARK, MARK_BYTES);
		memcpy(copy + i + MARK_BYTES, xml + i + 3, 2);
	}
	*out = copy;
	return 0;
}

static void unmark(struct buf *text)
{
	char *from = text->data, *end = from + text->length, *to = from;

	while (from < end) {
		char digits[3] = "";

		if (end - from < REFERENCE_BYTES || memcmp(from, MARK, MARK_BYTES) != 0) {
			*to++ = *from++;
			continue;
		}
		memcpy(digits, from + MARK_BYTES, 2);
		if (hex_decode(to, digits, 1) == 0)
			to++;
		from += REFERENCE_BYTES;
	}
	text->length = (size_t)(to - text->data);
	*to = '\0';
}

static void walk_fail(struct xml_walk *w, int error)
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
	struct xml_walk *w = arg;
	const char *colon = strrchr(name, ':');
	size_t length;

	(void)attributes;
	name = colon ? colon + 1 : name;
	length = strlen(name);
	if (w->depth == XML_DEPTH_MAX || w->path_length + length + 2 > sizeof(w->path) ||
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
	struct xml_walk *w = arg;

	if (w->text.length + (size_t)length > TEXT_BYTES_MAX)
		walk_fail(w, -EPROTO);
	else
		buf_append(&w->text, text, (size_t)length);
	if (w->text.failed)
		walk_fail(w, -ENOMEM);
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct xml_walk *w = arg;
	int r;

	(void)name;
	if (w->error) /* expat closes an empty element even after it was told to stop */
		return;
	assert(w->depth > 0);
	if (w->marked && w->text.length)
		unmark(&w->text);
	r = w->end(w->arg, w->path, &w->text);
	w->path_length = w->lengths[--w->depth];
	w->path[w->path_length] = '\0';
	buf_clear(&w->text);
	if (r)
		walk_fail(w, r);
}

static int parse(struct xml_walk *w, const char *xml, size_t length)
{
	XML_Parser parser = XML_ParserCreate("UTF-8");

	if (!parser)
		return -ENOMEM;
	w->parser = parser;
	XML_SetUserData(parser, w);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	XML_SetStartDoctypeDeclHandler(parser, on_doctype);
	if (XML_Parse(parser, xml, (int)length, XML_TRUE) != XML_STATUS_OK && !w->error)
		w->error = XML_GetErrorCode(parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EPROTO;
	XML_ParserFree(parser);
	w->parser = NULL;
	buf_destroy(&w->text);
	return w->error;
}

int xml_walk(struct xml_walk *w, const char *xml, size_t length, const char *root)
{
	AUTO_FREE char *marked = NULL;
	int r;

	/* Amazon keeps a connection alive with blanks before a late answer; XML wants none there. */
	while (length && (*xml == ' ' || *xml == '\n' || *xml == '\r' || *xml == '\t')) {
		xml++;
		length--;
	}
	if (length == 0 || length > XML_BYTES_MAX)
		return -EPROTO;
	r = mark_forbidden(xml, length, &marked);
	if (r)
		return r;
	w->marked = marked != NULL;
	r = parse(w, marked ? marked : xml, length);
	if (r == 0 && root && strcmp(root, w->root) != 0)
		r = -EPROTO;
	return r;
}
