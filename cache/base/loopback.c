/* Names are not looked up: localhost is 127.0.0.1 here, whatever a resolver says. */
#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static int parse_port(const char *text, in_port_t *out)
{
	unsigned long port = 0;

	if (!*text || strlen(text) > 5)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + (unsigned long)(*text - '0');
	}
	if (port == 0 || port > 65535)
		return -EINVAL;
	*out = htons((uint16_t)port);
	return 0;
}

int loopback_parse(const char *text, struct sockaddr_storage *out, socklen_t *length)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const char *colon = strrchr(text, ':');
	char host[32];
	in_port_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(host) || parse_port(colon + 1, &port))
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	memset(out, 0, sizeof(*out));
	if (strcmp(host, "[::1]") == 0) {
		v6.sin6_port = port;
		memcpy(out, &v6, *length = sizeof(v6));
		return 0;
	}
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &v4.sin_addr) != 1 ||
	    ntohl(v4.sin_addr.s_addr) >> 24 != 127)
		return -EINVAL;
	v4.sin_port = port;
	memcpy(out, &v4, *length = sizeof(v4));
	return 0;
}
