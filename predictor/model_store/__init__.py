"""Many versions of a model in a folder or bucket, and the one in use.

`folders.py` reaches the files, `model_store.py` gives them their order, `watcher.py` brings a newly
promoted version into a running service, `key_files.py` holds private keys. What a version is made
of and when it may be trusted is told by `models/store.py` alone.
"""
