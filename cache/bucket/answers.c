/* The answers of those who hand out credentials.
 *
 *     JSON   "Amazon EC2 User Guide", Retrieve security credentials from instance metadata;
 *            "Amazon ECS Developer Guide", Task IAM role; "AWS SDKs and Tools Reference Guide",
 *            Process credential provider
 *     XML    "AWS Security Token Service API Reference", AssumeRoleWithWebIdentity, and Common
 * errors
 *
 * jansson keeps strings in memory of its own; it is given a free() that wipes. */
#include "answers.h"
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "ops.h"
#include "s3_text.h"
#include "xml_walk.h"

static void wiping_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void set_memory(void)
{
	json_set_alloc_funcs(malloc, wiping_free);
}

static json_t *load(const char *json, size_t length)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_t *root;

	pthread_once(&once, set_memory);
	root = length <= ANSWERS_BYTES_MAX ? json_loadb(json, length, 0, NULL) : NULL;
	if (root && !json_is_object(root)) {
		json_decref(root);
		root = NULL;
	}
	return root;
}

static bool is_code(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length < ANSWERS_CODE_BYTES &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-") ==
		   length;
}

static void keep_code(const char *text, char out[ANSWERS_CODE_BYTES])
{
	if (text && is_code(text))
		memcpy(out, text, strlen(text) + 1);
}

/* -- time -- */

/* "+02:00" in nanoseconds; the last six bytes of text. */
static bool offset_of(const char *text, int64_t *out)
{
	int h, m;

	if ((text[0] != '+' && text[0] != '-') || text[3] != ':')
		return false;
	for (int i = 1; i < 6; i++)
		if (i != 3 && (text[i] < '0' || text[i] > '9'))
			return false;
	h = (text[1] - '0') * 10 + text[2] - '0';
	m = (text[4] - '0') * 10 + text[5] - '0';
	*out = (int64_t)(h * 60 + m) * 60 * 1000000000 * (text[0] == '-' ? -1 : 1);
	return h < 24 && m < 60;
}

int64_t answers_time(const char *text)
{
	size_t length = strlen(text);
	int64_t offset = 0, ns;
	char utc[40];

	if (length < 20 || length >= sizeof(utc) - 1)
		return 0;
	memcpy(utc, text, length + 1);
	if (offset_of(text + length - 6, &offset)) {
		utc[length - 6] = 'Z';
		utc[length - 5] = '\0';
	}
	ns = s3_text_iso_time(utc);
	return ns > 0 && ns - offset > 0 ? ns - offset : 0;
}

static int keep_time(const char *text, const char *who, struct credentials *out)
{
	if (!text || !text[0])
		return 0;
	out->expires_ns = answers_time(text);
	if (out->expires_ns)
		return 0;
	return fault_set(-EACCES, false, "%s: the Expiration of the key is no time", who);
}

/* -- one value -- */

static int keep(const char *name, const char *text, const char *who, char *out, size_t space)
{
	size_t length = text ? strlen(text) : 0;

	if (length >= space)
		return fault_set(-EACCES, false, "%s: %s is too long to be right", who, name);
	memcpy(out, text ? text : "", length + 1);
	return 0;
}

static int complete(const char *who, const struct credentials *c)
{
	if (c->access_key[0] && c->secret[0])
		return 0;
	return fault_set(-EACCES, false, "%s: the answer holds no %s", who,
			 c->access_key[0] ? "SecretAccessKey" : "AccessKeyId");
}

/* -- JSON -- */

static const char *text_of(const json_t *root, const char *name)
{
	return json_string_value(json_object_get(root, name));
}

static int take_json(const json_t *root, enum answers_dialect dialect, const char *who,
		     struct credentials *out)
{
	bool process = dialect == ANSWERS_PROCESS;
	const char *token = process ? "SessionToken" : "Token", *code = text_of(root, "Code");
	int r;

	if (process && json_integer_value(json_object_get(root, "Version")) != 1)
		return fault_set(-EACCES, false, "%s: the answer is not of Version 1", who);
	if (!process && code && strcmp(code, "Success") != 0)
		return fault_set(-EACCES, false, "%s: the answer is an error%s%s", who,
				 is_code(code) ? ", " : "", is_code(code) ? code : "");
	r = keep("AccessKeyId", text_of(root, "AccessKeyId"), who, out->access_key,
		 sizeof(out->access_key));
	if (r == 0)
		r = keep("SecretAccessKey", text_of(root, "SecretAccessKey"), who, out->secret,
			 sizeof(out->secret));
	if (r == 0)
		r = keep(token, text_of(root, token), who, out->token, sizeof(out->token));
	if (r == 0)
		r = keep_time(text_of(root, "Expiration"), who, out);
	return r ? r : complete(who, out);
}

int answers_json(const char *json, size_t length, enum answers_dialect dialect, const char *who,
		 struct credentials *out)
{
	json_t *root = load(json, length);
	int r;

	memset(out, 0, sizeof(*out));
	if (!root)
		return fault_set(-EACCES, false, "%s: the answer is not the JSON of a key", who);
	r = take_json(root, dialect, who, out);
	json_decref(root);
	if (r)
		credentials_wipe(out);
	return r;
}

void answers_json_code(const char *json, size_t length, char out[ANSWERS_CODE_BYTES])
{
	json_t *root = load(json, length);

	out[0] = '\0';
	if (!root)
		return;
	keep_code(text_of(root, "code"), out);
	if (!out[0])
		keep_code(text_of(root, "Code"), out);
	json_decref(root);
}

/* -- XML -- */

struct sts_answer {
	struct credentials *out;
	const char *who;
};

static int sts_end(void *arg, const char *path, const struct buf *text)
{
	static const char top[] = "AssumeRoleWithWebIdentityResult/Credentials/";
	struct sts_answer *a = arg;
	struct credentials *c = a->out;
	const char *name = path + sizeof(top) - 1, *value = buf_string(text);

	if (strncmp(path, top, sizeof(top) - 1) != 0)
		return 0;
	if (strcmp(name, "AccessKeyId") == 0)
		return keep(name, value, a->who, c->access_key, sizeof(c->access_key));
	if (strcmp(name, "SecretAccessKey") == 0)
		return keep(name, value, a->who, c->secret, sizeof(c->secret));
	if (strcmp(name, "SessionToken") == 0)
		return keep(name, value, a->who, c->token, sizeof(c->token));
	if (strcmp(name, "Expiration") == 0)
		return keep_time(value, a->who, c);
	return 0;
}

int answers_sts(const char *xml, size_t length, const char *who, struct credentials *out)
{
	struct sts_answer a = {out, who};
	struct xml_walk w = {.end = sts_end, .arg = &a};
	int r;

	memset(out, 0, sizeof(*out));
	r = length > ANSWERS_BYTES_MAX
		? -EPROTO
		: xml_walk(&w, xml, length, "AssumeRoleWithWebIdentityResponse");
	if (r == -EPROTO)
		r = fault_set(-EACCES, false, "%s: the answer is not the XML of a key", who);
	else if (r == -ENOMEM)
		r = fault_set(-ENOMEM, false, "no memory for a key");
	if (r == 0)
		r = complete(who, out);
	if (r)
		credentials_wipe(out);
	return r;
}

static int code_end(void *arg, const char *path, const struct buf *text)
{
	if (strcmp(path, "Error/Code") == 0)
		keep_code(buf_string(text), arg);
	return 0;
}

void answers_sts_code(const char *xml, size_t length, char out[ANSWERS_CODE_BYTES])
{
	struct xml_walk w = {.end = code_end, .arg = out};

	out[0] = '\0';
	if (length > ANSWERS_BYTES_MAX || xml_walk(&w, xml, length, "ErrorResponse"))
		out[0] = '\0';
}
