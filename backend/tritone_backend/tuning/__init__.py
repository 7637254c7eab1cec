"""Fits what a model folder says about decoding to development data: `tritone model tune`. Serving never imports it."""
