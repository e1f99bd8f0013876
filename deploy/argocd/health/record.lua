-- Health of a kind without a status: an entry of the operator's books, which is all that it has to be once it is there.
return {status = "Healthy", message = ""}
