# foreign.mk: other people's tests, without us and with us.
#   make foreign                       CPython's, libuv's, perl's, ruby's and Go's (an hour)
#   make foreign FOREIGN='test_socket -v'
foreign: $(BUILD)/liblastcall.so
	$(Q)scripts/deps foreign
	$(Q)/usr/bin/python3 tests/foreign/foreign.py --build $(BUILD) $(FOREIGN)
	$(Q)$(if $(FOREIGN),,$(MAKE) --no-print-directory BUILD=$(BUILD) foreign-go)

.PHONY: foreign
