"""Does: AWS's protocols: requests and answers as bytes, signatures, the botocore models compiled.
May import: base, model.
Does not: know any operation by name; everything is generic over the service models.
"""
