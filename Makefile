# `make test` is everything a change has to pass, but for format, lints and licences, which `.ci/run` adds.

# What the tests start: PostgreSQL, Redis and Kannel (with its fake SMSC). setpriv ends servers with their test, and takes root away from PostgreSQL.
# With Python, a library that is not ours signs requests; the test fetches it.
DEBIAN_PACKAGES = postgresql redis-server kannel kannel-extras procps util-linux curl python3-venv

.PHONY: test packages

test: packages
	cargo test --workspace --locked

packages:
	@./tests/install-packages $(DEBIAN_PACKAGES)
