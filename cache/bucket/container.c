/* A key from the credentials service of a container: ECS tasks, EKS pods, and whoever imitates
 * them.
 *
 *     GET url HTTP/1.1
 *     Authorization: …       AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, else …_TOKEN, as it is
 *
 * "AWS SDKs and Tools Reference Guide", Container credential provider. Without TLS the request may
 * go to this host and to the link-local addresses of ECS (169.254.170.2) and EKS (169.254.170.23,
 * fd00:ec2::23) only, as the SDKs have it. A host name is taken only when it is "localhost": what a
 * name resolves to can be another address the next time.
 *
 * The token file is read each time, and may be readable by others: it is a projected volume. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "answers.h"
#include "fetch.h"
#include "ops.h"
#include "recipe.h"
#include "search.h"
#include "text_file.h"

enum { CONNECT_MS = 1000, ANSWER_MS = 3000, ATTEMPTS = 3, TOKEN_BYTES_MAX = 16000 };

static bool is_own_address(const char *host)
{
	struct in6_addr six, eks;
	struct in_addr four;
	char text[64];

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1) {
		uint32_t address = ntohl(four.s_addr);

		return address >> 24 == 127 || address == 0xa9feaa02 || address == 0xa9feaa17;
	}
	if (host[0] != '[' || strlen(host) >= sizeof(text) || strlen(host) < 4)
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)strlen(host) - 2, host + 1);
	if (inet_pton(AF_INET6, text, &six) != 1 || inet_pton(AF_INET6, "fd00:ec2::23", &eks) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&six) || memcmp(&six, &eks, sizeof(six)) == 0;
}

/* Curl takes the address apart, as it will when it goes there. */
bool container_url_allowed(const char *url)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;
	bool allowed = false;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_NO_USER)
		allowed = strcmp(scheme, "https") == 0 ||
			  (strcmp(scheme, "http") == 0 && is_own_address(host));
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(u);
	return allowed;
}

/* The header, to be wiped and freed; *out stays NULL where there is no token. */
static int authorization(char **out)
{
	const char *path = search_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
		   *token = search_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct text_file file = {.text = NULL};
	int r = 0;

	if (path[0]) {
		r = text_file_read(path, TEXT_FILE_OPEN, &file);
		if (r)
			return r == -ENOMEM ? r : -EACCES;
		while (file.length > 0 && strchr("\r\n", file.text[file.length - 1]))
			file.text[--file.length] = '\0';
		token = file.text;
	}
	if (strpbrk(token, "\r\n") || strlen(token) > TOKEN_BYTES_MAX)
		r = fault_set(-EACCES, false,
			      "the container's authorization token is no line that can be sent");
	else if (token[0] && asprintf(out, "Authorization: %s", token) < 0)
		r = fault_set(-ENOMEM, false, "no memory for a request");
	text_file_wipe(&file);
	return r;
}

static int answer_of(const struct recipe *recipe, const struct fetch *f, struct credentials *out)
{
	bool again = f->status == 429 || f->status >= 500;
	char code[ANSWERS_CODE_BYTES];

	if (f->status == 200)
		return answers_json(f->answer, f->length, ANSWERS_SERVICE, recipe->from, out);
	answers_json_code(f->answer, f->length, code);
	return fault_set(again ? -EHOSTDOWN : -EACCES, again, "%s gives no key (HTTP %d%s%s)",
			 recipe->from, f->status, code[0] ? " " : "", code);
}

int container_get(const struct recipe *recipe, const atomic_bool *stop, struct credentials *out)
{
	const char *headers[] = {"Accept: application/json", NULL, NULL};
	struct fetch f = {.method = "GET",
			  .url = recipe->url,
			  .headers = headers,
			  .direct = strncmp(recipe->url, "https:", 6) != 0,
			  .connect_timeout_ms = CONNECT_MS,
			  .timeout_ms = ANSWER_MS,
			  .attempts = ATTEMPTS,
			  .stop = stop};
	char *line = NULL;
	int r = authorization(&line);

	if (r)
		return r;
	headers[1] = line;
	r = fetch_run(&f);
	if (r == 0)
		r = answer_of(recipe, &f, out);
	else
		r = fault_set(r == -EPROTO ? -EACCES : r, r == -EHOSTDOWN, "%s does not answer: %s",
			      recipe->from, f.why);
	fetch_destroy(&f);
	if (line)
		explicit_bzero(line, strlen(line));
	free(line);
	return r;
}
