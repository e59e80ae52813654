# `make test` is everything a change has to pass, but for format, lints and licences, which `.ci/run` adds.

# What the tests start: PostgreSQL, Redis and Kannel (with its fake SMSC). setpriv ends servers with their test, and takes root away from PostgreSQL.
# With Python, a library that is not ours signs requests; the test fetches it. Chromium looks at the pages, driven from Node.js.
DEBIAN_PACKAGES = postgresql redis-server kannel kannel-extras procps util-linux curl python3-venv chromium fonts-noto-core
# Node.js may also come from elsewhere.
NODE_PACKAGES = $(shell command -v npm >/dev/null || echo nodejs npm)

.PHONY: test packages

test: packages
	cargo test --workspace --locked

packages:
	@./tests/install-packages $(DEBIAN_PACKAGES) $(NODE_PACKAGES)
	npm --prefix tests/browser ci --no-audit --no-fund --omit=optional
