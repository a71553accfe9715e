# foreign.mk: other people's tests, without us and with us.
#   make foreign                       CPython's, libuv's (half an hour)
#   make foreign FOREIGN='test_socket -v'
foreign: $(BUILD)/liblastcall.so
	$(Q)scripts/deps foreign
	$(Q)/usr/bin/python3 tests/foreign/foreign.py --build $(BUILD) $(FOREIGN)

.PHONY: foreign
