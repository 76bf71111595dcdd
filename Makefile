# Each target sets up what it needs, says what it does, and is quick the second time. The work is in scripts/.

.PHONY: help demo chat test test-apps test-suites build lint pythons format autobahn bench bench-report bench-swill clients transfers fuzz soak asan wheels deb compose-test service-test clean

help:
	@echo 'make demo      the demonstration at https://localhost:8443 (another port: make demo DEMO_PORT=9443)'
	@echo 'make chat      a chat over Swill at http://localhost:8100 (another port: make chat CHAT_PORT=8200)'
	@echo 'make test      everything: linter, types, tests (only some: make test ARGS="-k fastcgi")'
	@echo 'make test-apps published applications, compared with uvicorn and gunicorn behind the same nginx'
	@echo 'make test-suites the test suites of Starlette, FastAPI and uvicorn over the gateway; writes docs/suites.md'
	@echo 'make build     compile the hot modules that have changed'
	@echo 'make lint      ruff and mypy'
	@echo 'make pythons   what is compiled, under every other Python from 3.11 on that is found'
	@echo 'make format    let ruff put the code into shape'
	@echo 'make autobahn  the WebSocket conformance suite, where a Python 2.7 is found; writes docs/autobahn.md'
	@echo '               (more of it, in minutes: make autobahn ARGS="--sets basic limits deflate")'
	@echo 'make transfers the client moves a gigabyte each way over each protocol'
	@echo 'make clients   the client beside aiohttp, httpx and niquests; writes benchmarks/results/client.md'
	@echo 'make bench-swill Swill beside other ways to call procedures; writes benchmarks/results/swill.md'
	@echo 'make bench     this project and its peers side by side; writes benchmarks/results/'
	@echo '               (less of it: make bench ROUNDS=3 SECONDS=3 ONLY=scgi,picows; all: benchmarks/README.md)'
	@echo 'make fuzz      both builds of the codecs against each other (FUZZ_SECONDS=20 each of six targets)'
	@echo 'make soak      reloads, replacements, crashes under load, for some minutes (only some: ARGS="-k killed")'
	@echo 'make asan      the compiled build under AddressSanitizer (only the codecs: ASAN_MODULES=wire)'
	@echo 'make wheels    wheels with the compiled codecs in dist/, for every Python that is found, each tried'
	@echo 'make deb       Debian packages in dist/, built and tried in a Debian of their own'
	@echo 'make compose-test  the containers of deploy/, built and run by a real Docker daemon'
	@echo 'make service-test  services, init and the doctor on a systemd of their own, by each web server'
	@echo 'make clean     remove what the others made'

# exec: a signal to make reaches the script, and not only a shell between the two.
demo:
	@DEMO_PORT='$(DEMO_PORT)' exec scripts/demo.sh

chat:
	@CHAT_PORT='$(CHAT_PORT)' exec scripts/chat.sh

test:
	@scripts/test.sh $(ARGS)

test-apps:
	@scripts/test_apps.sh $(ARGS)

test-suites:
	@scripts/test_suites.sh $(ARGS)

build:
	@scripts/build.sh

lint:
	@scripts/lint.sh

pythons:
	@scripts/pythons.sh

format:
	@scripts/format.sh

autobahn:
	@scripts/autobahn.sh $(ARGS)

bench:
	@PYTHON='$(PYTHON)' scripts/bench.sh $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	    $(if $(ONLY),--only '$(ONLY)') $(ARGS)

transfers:
	@TRANSFER_BYTES=1000000000 scripts/test.sh tests/acgi/test_transfers.py

clients:
	@scripts/bench.sh client $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

bench-swill:
	@scripts/bench.sh swill $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	    $(if $(ONLY),--only '$(ONLY)') $(ARGS)

bench-report:
	@PYTHON='$(PYTHON)' scripts/bench.sh report $(ARGS)

fuzz:
	@scripts/fuzz.sh $(ARGS)

soak:
	@scripts/soak.sh $(ARGS)

asan:
	@scripts/asan.sh $(ARGS)

wheels:
	@scripts/wheels.sh

deb:
	@scripts/deb.sh $(ARGS)

compose-test:
	@scripts/compose_test.sh $(ARGS)

service-test:
	@scripts/service_test.sh $(ARGS)

clean:
	rm -rf .venv benchmarks/.venv benchmarks/.venv-* .run build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
