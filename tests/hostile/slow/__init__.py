"""Slow clients in thousands beside good ones: who they are, who the others are, and what the proxy is seen doing."""
