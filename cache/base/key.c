/* A key walks through its names once; the first fault found is the verdict. What a bucket may hold is more
 * than what a directory tree can show: such keys are skipped and counted by the caller, never mended, since
 * two keys must not become one path. */
#include "key.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool is_dots(const char *name, size_t length)
{
	return (length == 1 && name[0] == '.') ||
	       (length == 2 && name[0] == '.' && name[1] == '.');
}

int name_check(const char *name, size_t length)
{
	if (length == 0 || is_dots(name, length))
		return -EINVAL;
	if (memchr(name, '/', length) || memchr(name, '\0', length))
		return -EINVAL;
	return length > NAME_BYTES_MAX ? -ENAMETOOLONG : 0;
}

/* Everything but what a last '/' means. */
static enum key_verdict check_names(const char *key, size_t length)
{
	if (length == 0)
		return KEY_EMPTY;
	if (length > KEY_BYTES_MAX)
		return KEY_TOO_LONG;
	if (memchr(key, '\0', length))
		return KEY_HAS_NUL;

	for (const char *end = key + length; key < end;) {
		const char *slash = memchr(key, '/', (size_t)(end - key));
		size_t name = (size_t)((slash ? slash : end) - key);
		if (name == 0)
			return KEY_EMPTY_NAME;
		if (is_dots(key, name))
			return KEY_DOT_NAME;
		if (name > NAME_BYTES_MAX)
			return KEY_NAME_TOO_LONG;
		key += name + 1;
	}
	return KEY_GOOD;
}

enum key_verdict key_check(const char *key, size_t length)
{
	enum key_verdict verdict = check_names(key, length);

	if (verdict == KEY_GOOD && key[length - 1] == '/')
		return KEY_MARKER;
	return verdict;
}

enum key_verdict key_check_prefix(const char *prefix, size_t length)
{
	enum key_verdict verdict = check_names(prefix, length);

	if (verdict == KEY_GOOD && prefix[length - 1] != '/')
		return KEY_NO_SLASH;
	return verdict;
}

const char *key_verdict_text(enum key_verdict verdict)
{
	static const char *const texts[] = {
		[KEY_GOOD] = "good",
		[KEY_EMPTY] = "empty",
		[KEY_MARKER] = "directory marker",
		[KEY_EMPTY_NAME] = "empty name",
		[KEY_DOT_NAME] = "name is . or ..",
		[KEY_NAME_TOO_LONG] = "name too long",
		[KEY_TOO_LONG] = "key too long",
		[KEY_HAS_NUL] = "NUL byte",
		[KEY_NO_SLASH] = "no slash at the end",
	};
	assert((size_t)verdict < sizeof(texts) / sizeof(texts[0]));
	return texts[verdict];
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

size_t key_percent(char *out, const char *in, size_t length, int keep_slash)
{
	static const char digits[] = "0123456789ABCDEF"; /* SigV4 signs upper case */
	char *to = out;

	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)in[i];
		if (is_unreserved(in[i]) || (c == '/' && keep_slash)) {
			*to++ = in[i];
		} else {
			*to++ = '%';
			*to++ = digits[c >> 4];
			*to++ = digits[c & 15];
		}
	}
	*to = '\0';
	return (size_t)(to - out);
}

static int digit_value(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

long key_unpercent(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		int high = digit_value(from[1]);
		int low = high < 0 ? -1 : digit_value(from[2]);
		if (low < 0)
			return -EINVAL;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = '\0';
	return to - text;
}
