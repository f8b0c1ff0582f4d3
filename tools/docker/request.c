/* A body is one JSON object, or nothing at all: Activate sends none, podman's List neither, and dockerd none when it repeats
 * a request whose connection broke. Such a repetition lacks its Name and is refused, never guessed.
 *
 *     Create               Name, Opts {text: text} or null
 *     Mount, Unmount       Name, ID
 *     Get, Remove, Path    Name
 *     Activate, Capabilities, List     nothing is looked at
 *
 * dockerd passes on any text as a name ("..", "x/y", "/cwd/x", 300 characters), and ours become file names. */
#include "request.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *path;
	enum request_call call;
	bool named, has_id;
} calls[] = {
    {"/Plugin.Activate", REQUEST_ACTIVATE, false, false},
    {"/VolumeDriver.Capabilities", REQUEST_CAPABILITIES, false, false},
    {"/VolumeDriver.Create", REQUEST_CREATE, true, false},
    {"/VolumeDriver.Remove", REQUEST_REMOVE, true, false},
    {"/VolumeDriver.Get", REQUEST_GET, true, false},
    {"/VolumeDriver.List", REQUEST_LIST, false, false},
    {"/VolumeDriver.Path", REQUEST_PATH, true, false},
    {"/VolumeDriver.Mount", REQUEST_MOUNT, true, true},
    {"/VolumeDriver.Unmount", REQUEST_UNMOUNT, true, true},
};

enum { CALLS = sizeof(calls) / sizeof(*calls) };

bool request_find(const char *path, enum request_call *out)
{
	for (size_t i = 0; i < CALLS; i++)
		if (strcmp(calls[i].path, path) == 0) {
			*out = calls[i].call;
			return true;
		}
	return false;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool request_name_good(const char *name)
{
	size_t length = strnlen(name, REQUEST_NAME_MAX + 1);

	if (!is_letter(name[0]) || length > REQUEST_NAME_MAX)
		return false;
	for (size_t i = 1; i < length; i++)
		if (!is_letter(name[i]) && !strchr("_.-", name[i]))
			return false;
	return true;
}

static int refuse(struct buf *why, const char *text)
{
	buf_text(why, text);
	return -EINVAL;
}

static int take_name(struct request *r, struct buf *why)
{
	r->name = json_string_value(json_object_get(r->body, "Name"));
	if (!r->name || !r->name[0])
		return refuse(why, "the volume's name is missing");
	if (!request_name_good(r->name))
		return refuse(why, "a volume's name consists of A-Z, a-z, 0-9, _, . and -, begins with a letter or digit, "
				   "and has 255 characters at most");
	return 0;
}

static int take_id(struct request *r, struct buf *why)
{
	r->id = json_string_value(json_object_get(r->body, "ID"));
	if (!r->id || !r->id[0])
		return refuse(why, "the ID of the mount is missing");
	return strlen(r->id) > REQUEST_ID_MAX ? refuse(why, "the ID of the mount is too long") : 0;
}

static int take_options(struct request *r, struct buf *why)
{
	json_t *options = json_object_get(r->body, "Opts"), *value;
	const char *key;

	if (!options || json_is_null(options))
		return 0;
	if (!json_is_object(options))
		return refuse(why, "the options are not an object");
	if (json_object_size(options) > REQUEST_OPTIONS_MAX)
		return refuse(why, "there are too many options");
	json_object_foreach (options, key, value)
		if (!json_is_string(value)) {
			buf_printf(why, "the option \"%s\" is not a text", key);
			return -EINVAL;
		}
	r->options = options;
	return 0;
}

int request_parse(struct request *r, enum request_call call, const char *bytes, size_t length, struct buf *why)
{
	json_error_t error;
	int result = 0;

	*r = (struct request){.call = call};
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].call != call || !calls[i].named)
			continue;
		if (length == 0)
			return refuse(why, "the request is empty: the volume's name is missing");
		if (length > REQUEST_BODY_MAX)
			return refuse(why, "the request is too long");
		r->body = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
		if (!json_is_object(r->body))
			return refuse(why, "the request is not a JSON object");
		result = take_name(r, why);
		if (!result && calls[i].has_id)
			result = take_id(r, why);
		if (!result && call == REQUEST_CREATE)
			result = take_options(r, why);
	}
	return result;
}

void request_destroy(struct request *r)
{
	json_decref(r->body);
	*r = (struct request){.call = r->call};
}
