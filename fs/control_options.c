/* What clients send, checked once, here, so that work is begun only with keys that can be.
 *
 *     {"keys":["media_attachments/a%20b.png",""],"timeout_s":60}
 *
 * Keys are percent-encoded: JSON is UTF-8, and a key may be any bytes. */
#include <errno.h>
#include <string.h>
#include "cache/base/key.h"
#include "control_internal.h"

enum { DEPTH_MAX = 8 };

int control_key(char *key, size_t length, struct buf *why)
{
	enum key_verdict verdict;

	if (length && key[length - 1] == '/')
		key[--length] = '\0';
	if (!length)
		return 0; /* the root */
	verdict = key_check(key, length);
	if (verdict == KEY_GOOD)
		return 0;
	buf_printf(why, "no file can have this key: %s", key_verdict_text(verdict));
	return -EINVAL;
}

/* *value is replaced by what it stands for. */
static int take_key(json_t *keys, size_t i, struct buf *why)
{
	const char *text = json_string_value(json_array_get(keys, i));
	AUTO_FREE char *key = text ? strdup(text) : NULL;
	long length;
	int r;

	if (!text) {
		buf_text(why, "\"keys\" must be an array of texts");
		return -EINVAL;
	}
	if (!key)
		return -ENOMEM;
	length = key_unpercent(key);
	if (length < 0) {
		buf_text(why, "a key has a '%' that no two hexadecimal digits follow");
		return -EINVAL;
	}
	r = control_key(key, (size_t)length, why);
	if (r)
		return r;
	return json_array_set_new(keys, i, json_string_nocheck(key)) ? -ENOMEM : 0;
}

static int take_keys(json_t *options, struct buf *why)
{
	json_t *keys = json_object_get(options, "keys");
	int r = 0;

	if (!keys)
		return 0;
	if (!json_is_array(keys) || json_array_size(keys) > CONTROL_KEYS_MAX) {
		buf_printf(why, "\"keys\" must be an array of at most %d texts", CONTROL_KEYS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < json_array_size(keys) && r == 0; i++)
		r = take_key(keys, i, why);
	return r;
}

/* jansson goes as deep as the text says; its own limit of 2,048 is more than anybody means. */
static bool is_flat(const char *bytes, size_t length)
{
	int depth = 0;
	bool in_text = false;

	for (size_t i = 0; i < length; i++) {
		if (in_text && bytes[i] == '\\')
			i++;
		else if (bytes[i] == '"')
			in_text = !in_text;
		else if (!in_text && (bytes[i] == '{' || bytes[i] == '['))
			depth++;
		else if (!in_text && (bytes[i] == '}' || bytes[i] == ']'))
			depth--;
		if (depth > DEPTH_MAX)
			return false;
	}
	return true;
}

int control_options(const char *bytes, size_t length, json_t **out, struct buf *why)
{
	json_error_t error;
	json_t *options;
	int r;

	*out = NULL;
	if (!length)
		return (*out = json_object()) ? 0 : -ENOMEM;
	options = is_flat(bytes, length) ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error) : NULL;
	if (!json_is_object(options)) {
		json_decref(options);
		buf_text(why, "the body must be one JSON object, without two members of one name");
		return -EINVAL;
	}
	r = take_keys(options, why);
	if (r)
		json_decref(options);
	else
		*out = options;
	return r;
}

int64_t control_number(const json_t *options, const char *name, int64_t fallback)
{
	const json_t *value = json_object_get(options, name);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool control_switch(const json_t *options, const char *name)
{
	return json_is_true(json_object_get(options, name));
}

json_t *control_text(const char *bytes)
{
	json_t *text = json_string(bytes);
	AUTO_BUF struct buf shown = BUF_EMPTY;

	if (text)
		return text;
	for (const unsigned char *c = (const unsigned char *)bytes; *c; c++)
		buf_printf(&shown, *c < 0x80 ? "%c" : "\\x%02x", *c);
	return shown.failed ? NULL : json_string(buf_string(&shown));
}
