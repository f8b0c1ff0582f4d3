/* A key for a web identity: STS gives it for a token that somebody else (a Kubernetes cluster) has
 * put into a file.
 *
 *     POST / HTTP/1.1                                         not signed
 *     Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=…&RoleSessionName=…
 *     &WebIdentityToken=…
 *
 * "AWS Security Token Service API Reference", AssumeRoleWithWebIdentity. The endpoint is, as for
 * the SDKs, AWS_ENDPOINT_URL_STS, else AWS_ENDPOINT_URL (MinIO and Ceph have their STS there), else
 * the region's; the global one without a region or with AWS_STS_REGIONAL_ENDPOINTS=legacy ("AWS
 * SDKs and Tools Reference Guide", AWS STS Regional endpoints).
 *
 * The file is read each time, since it is replaced about once an hour. Whether others can read it
 * is not looked at, nor do the SDKs: Kubernetes projects it with mode 0644 into a pod of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "answers.h"
#include "cache/base/buf.h"
#include "cache/base/key.h"
#include "fetch.h"
#include "ops.h"
#include "recipe.h"
#include "search.h"
#include "text_file.h"

enum { TOKEN_BYTES_MAX = 20000, CONNECT_MS = 2000, ANSWER_MS = 5000, ATTEMPTS = 3 };

void web_identity_url(const char *region, char *out, size_t space)
{
	const char *endpoint = search_variable("AWS_ENDPOINT_URL_STS");
	bool global =
	    !region[0] || strcmp(search_variable("AWS_STS_REGIONAL_ENDPOINTS"), "legacy") == 0;
	int length;

	if (!endpoint[0])
		endpoint = search_variable("AWS_ENDPOINT_URL");
	if (endpoint[0])
		length = snprintf(out, space, "%s", endpoint);
	else if (strncmp(region, "cn-", 3) == 0)
		length = snprintf(out, space, "https://sts.%s.amazonaws.com.cn", region);
	else if (global ||
		 strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region))
		length = snprintf(out, space, "https://sts.amazonaws.com");
	else
		length = snprintf(out, space, "https://sts.%s.amazonaws.com", region);
	if (length < 0 || (size_t)length >= space - 1) {
		out[0] = '\0';
		return;
	}
	if (out[length - 1] != '/')
		memcpy(out + length, "/", 2);
}

static char *add(char *p, const char *name, const char *value)
{
	size_t length = strlen(name);

	memcpy(p, name, length);
	return p + length + key_percent(p + length, value, strlen(value), 0);
}

/* The form, of *size bytes, to be wiped. */
static char *form_of(const struct recipe *recipe, const char *token, size_t *size)
{
	char *form, *p;

	*size = 256 + 3 * (strlen(token) + sizeof(recipe->role_arn) + sizeof(recipe->session_name));
	form = p = malloc(*size);
	if (!form)
		return NULL;
	p = add(p,
		"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=", recipe->role_arn);
	p = add(p, "&RoleSessionName=", recipe->session_name[0] ? recipe->session_name : "tootfs");
	p = add(p, "&WebIdentityToken=", token);
	*p = '\0';
	return form;
}

static int answer_of(const struct recipe *recipe, const struct fetch *f, struct credentials *out)
{
	char code[ANSWERS_CODE_BYTES];
	bool again = f->status == 429 || f->status >= 500;

	if (f->status == 200)
		return answers_sts(f->answer, f->length, recipe->from, out);
	answers_sts_code(f->answer, f->length, code);
	again |= strcmp(code, "IDPCommunicationError") == 0 || strcmp(code, "Throttling") == 0;
	return fault_set(again ? -EHOSTDOWN : -EACCES, again,
			 "%s: STS gives no key (HTTP %d%s%s)%s", recipe->from, f->status,
			 code[0] ? " " : "", code,
			 strcmp(code, "ExpiredTokenException") == 0
			     ? ": whoever should renew the token file did not"
			     : "");
}

static int ask(const struct recipe *recipe, const char *token, const atomic_bool *stop,
	       struct credentials *out)
{
	char url[1024];
	size_t size;
	char *form = form_of(recipe, token, &size);
	struct fetch f = {.method = "POST",
			  .url = url,
			  .body = form,
			  .connect_timeout_ms = CONNECT_MS,
			  .timeout_ms = ANSWER_MS,
			  .attempts = ATTEMPTS,
			  .stop = stop};
	int r;

	if (!form)
		return fault_set(-ENOMEM, false, "no memory for a request");
	web_identity_url(recipe->region, url, sizeof(url));
	r = fetch_run(&f);
	if (r == 0)
		r = answer_of(recipe, &f, out);
	else
		r = fault_set(r == -EPROTO ? -EACCES : r, r == -EHOSTDOWN,
			      "%s: STS at %s does not answer: %s", recipe->from, url, f.why);
	fetch_destroy(&f);
	explicit_bzero(form, size);
	free(form);
	return r;
}

int web_identity_get(const struct recipe *recipe, const atomic_bool *stop, struct credentials *out)
{
	struct text_file file;
	int r = text_file_read(recipe->token_file, TEXT_FILE_OPEN, &file);

	if (r)
		return r == -ENOMEM ? r : -EACCES;
	while (file.length > 0 && strchr(" \t\r\n", file.text[file.length - 1]))
		file.text[--file.length] = '\0';
	if (file.length == 0 || file.length > TOKEN_BYTES_MAX)
		r = fault_set(-EACCES, false, "the token file %s is %s", recipe->token_file,
			      file.length ? "too long to hold a token" : "empty");
	else
		r = ask(recipe, file.text, stop, out);
	text_file_wipe(&file);
	return r;
}
